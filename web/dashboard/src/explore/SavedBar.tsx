/** Questions kept in this browser. */
import { useState } from "react";
import { Link } from "react-router";
import { useT } from "../i18n/i18n.tsx";
import { Icon } from "../ui/icons.tsx";
import { useSaved } from "./saved.ts";

export function SavedBar({ app, search }: { readonly app: string; readonly search: URLSearchParams }) {
  const t = useT();
  const [questions, keep] = useSaved(app);
  const [name, setName] = useState<string | null>(null);
  return (
    <div className="saved">
      {questions.map((question) => (
        <span key={question.name} className="saved-one">
          <Link to={{ search: question.search }}>{question.name}</Link>
          <button type="button" className="button is-bare is-square" aria-label={t("saved.remove", { name: question.name })} onClick={() => keep(questions.filter((own) => own !== question))}>
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      {name === null ? (
        <button type="button" className="button is-bare is-small" onClick={() => setName("")}>
          <Icon name="star" size={12} /> {t("saved.keep")}
        </button>
      ) : (
        <form
          className="row"
          onSubmit={(event) => {
            event.preventDefault();
            keep([...questions.filter((own) => own.name !== name), { name, search: search.toString() }]);
            setName(null);
          }}
        >
          <input className="input" aria-label={t("saved.name")} placeholder={t("saved.name")} required maxLength={60} value={name} onChange={(event) => setName(event.target.value)} />
          <button type="submit" className="button is-small">
            {t("save")}
          </button>
        </form>
      )}
      <span className="soft is-small-text">{t("saved.where")}</span>
    </div>
  );
}
