/** A panel once it is open: fetched then. */
import { Dialog } from "@base-ui/react/dialog";
import { type ReactNode, use } from "react";
import { useT } from "../i18n/i18n.tsx";
import { Icon } from "./icons.tsx";
import { PortalContext } from "./portal.ts";

export interface SheetProps {
  readonly title: string;
  readonly subtitle?: string | undefined;
  readonly side?: "start" | "end";
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export default function OpenedSheet({ title, subtitle, side = "end", onClose, children }: SheetProps) {
  const t = useT();
  return (
    <Dialog.Root open onOpenChange={(open) => (open ? undefined : onClose())}>
      <Dialog.Portal container={use(PortalContext)}>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={`sheet sheet-${side}`}>
          <header className="sheet-head">
            <div>
              <Dialog.Title className="sheet-title">{title}</Dialog.Title>
              {subtitle === undefined ? null : <Dialog.Description className="soft">{subtitle}</Dialog.Description>}
            </div>
            <Dialog.Close className="button is-bare is-square" aria-label={t("close")}>
              <Icon name="close" />
            </Dialog.Close>
          </header>
          <div className="sheet-body">{children}</div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
