/** Begins anew, after a question: what is deleted does not come back. */
import { AlertDialog } from "@base-ui/react/alert-dialog";
import { useState } from "react";
import { send } from "../api/client.ts";
import { useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { ProblemNotice } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { CLEAR } from "./paths.ts";

export function ResetData({ onCleared }: { readonly onCleared: (count: number) => void }) {
  const t = useT();
  const { token, claims } = useSignIn();
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  const clear = async () => {
    setBusy(true);
    setFailed(null);
    try {
      const response = await send(token, CLEAR, { method: "POST", body: {} });
      const { cleared } = (await response.json()) as { readonly cleared: number };
      setOpen(false);
      onCleared(cleared);
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <AlertDialog.Root open={open} onOpenChange={setOpen}>
      <AlertDialog.Trigger className="button is-bad">
        <Icon name="trash" size={14} /> {t("shop.reset")}
      </AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="ask">
          <AlertDialog.Title className="sheet-title">{t("shop.reset.title", { shop: claims.tenant ?? "" })}</AlertDialog.Title>
          <AlertDialog.Description className="soft">{t("shop.reset.what")}</AlertDialog.Description>
          {failed === null ? null : <ProblemNotice error={failed} />}
          <div className="row ask-ways">
            <AlertDialog.Close className="button">{t("shop.reset.no")}</AlertDialog.Close>
            <button type="button" className="button is-primary is-danger" disabled={busy} onClick={() => void clear()}>
              {t("shop.reset.yes")}
            </button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
