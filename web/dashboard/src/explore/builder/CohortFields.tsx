/** Members of saved cohorts, or everybody else. */
import { useQuery } from "@tanstack/react-query";
import { ask } from "../../api/client.ts";
import { useT } from "../../i18n/i18n.tsx";
import { useSignIn } from "../../session/session.tsx";
import { Icon } from "../../ui/icons.tsx";
import type { CohortFilter, Filter } from "../query.ts";
import { SelectField } from "./fields.tsx";

interface CohortFieldsProps {
  readonly filters: readonly (Filter | CohortFilter)[];
  readonly onChange: (filters: readonly (Filter | CohortFilter)[]) => void;
}

export const isPlain = (filter: Filter | CohortFilter): filter is Filter => !("cohort" in filter);

interface Cohorts {
  readonly cohorts: readonly { readonly name: string }[];
}

export function CohortFields({ filters, onChange }: CohortFieldsProps) {
  const t = useT();
  const signIn = useSignIn();
  const known = useQuery({ queryKey: ["cohorts", signIn.app], queryFn: ({ signal }) => ask<Cohorts>(signIn, "/v1/cohorts", { signal }) });
  const names = known.data?.cohorts.map((cohort) => cohort.name) ?? [];
  const [first] = names;
  const put = (filter: CohortFilter, next: CohortFilter | null) => onChange(filters.flatMap((own) => (own !== filter ? [own] : next === null ? [] : [next])));
  return (
    <div className="filters">
      {filters.flatMap((filter) =>
        isPlain(filter) ? (
          []
        ) : (
          <div key={filter.cohort} className="filter">
            <SelectField
              label={t("q.op")}
              value={filter.op ?? "in"}
              options={[{ value: "in", label: t("q.cohort.in") }, { value: "not_in", label: t("q.cohort.not_in") }]}
              onChange={(op) => put(filter, op === "not_in" ? { cohort: filter.cohort, op } : { cohort: filter.cohort })}
            />
            <SelectField label={t("cohort")} value={filter.cohort} options={[...new Set([filter.cohort, ...names])].map((name) => ({ value: name, label: name }))} onChange={(cohort) => put(filter, { ...filter, cohort })} />
            <button type="button" className="button is-bare is-square" aria-label={t("q.filter.remove")} onClick={() => put(filter, null)}>
              <Icon name="close" size={12} />
            </button>
          </div>
        ),
      )}
      {first === undefined ? null : (
        <button type="button" className="button is-bare is-small" onClick={() => onChange([...filters, { cohort: first }])}>
          <Icon name="users" size={12} /> {t("q.cohort.add")}
        </button>
      )}
    </div>
  );
}
