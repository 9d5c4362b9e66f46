/** A report's blocks, one under the other. */
import type { ReactNode } from "react";
import { useFormat } from "../../format/useFormat.ts";
import { useName } from "../../format/useName.ts";
import { useT } from "../../i18n/i18n.tsx";
import { InsightList } from "../../insights/InsightList.tsx";
import { BarList } from "../../ui/BarList.tsx";
import { sameBlock } from "../compare.ts";
import type { Block } from "../shape.ts";
import { Cards } from "./Cards.tsx";
import { Cohorts } from "./Cohorts.tsx";
import { ListTable } from "./ListTable.tsx";
import { Series } from "./Series.tsx";

interface BlocksProps {
  readonly blocks: readonly Block[];
  readonly before: readonly Block[] | null;
  /** What all of it is about, for who cannot see where it stands. */
  readonly caption: string;
  /** Inside of a panel, where there is less room. */
  readonly inner?: boolean;
}

export function Blocks({ blocks, before, caption, inner = false }: BlocksProps) {
  const name = useName();
  const several = blocks.length > 1;
  const titleOf = (block: Block) => (several ? titleIn(block.path, name) : null);
  return (
    <div className={inner ? "blocks is-inner" : "blocks"}>
      {blocks.map((block) => {
        const title = titleOf(block);
        return (
          <BlockFrame key={`${block.kind} ${block.path}`} block={block} title={title}>
            <OneBlock block={block} before={sameBlock(block, before)} caption={title === null ? caption : `${caption}: ${title}`} />
          </BlockFrame>
        );
      })}
    </div>
  );
}

/** What reads well in half of the width. */
const isNarrow = (block: Block): boolean => block.kind === "bars" || (block.kind === "cards" && block.path !== "" && block.stats.length <= 5);

function BlockFrame({ block, title, children }: { readonly block: Block; readonly title: string | null; readonly children: ReactNode }) {
  return (
    <div className={isNarrow(block) ? "block is-half" : "block"} data-block={block.path}>
      {title === null ? null : <h4 className="block-title">{title}</h4>}
      {children}
    </div>
  );
}

function OneBlock({ block, before, caption }: { readonly block: Block; readonly before: Block | null; readonly caption: string }) {
  const t = useT();
  const format = useFormat();
  const name = useName();
  switch (block.kind) {
    case "insights":
      return <InsightList insights={block.insights} label={caption} />;
    case "cards":
      return <Cards block={block} before={before} />;
    case "bars":
      if (block.bars.length === 0) return <p className="soft">{t("empty.list")}</p>;
      return <BarList label={caption} items={block.bars.map((bar) => ({ key: bar.label, label: nameOfBar(bar.label, name), value: bar.value, text: format.value(bar.value, block.unit) }))} />;
    case "cohorts":
      return <Cohorts block={block} caption={caption} />;
    case "series":
      return <Series block={block} before={before} caption={caption} />;
    case "table":
      return <ListTable caption={caption} fields={block.fields} nested={block.nested} rows={block.rows} item={block.item} />;
  }
}

/** Objects that only wrap an answer are not worth a title. */
const WRAPPERS = new Set(["", "analytics", "data", "result", "summary"]);

function titleIn(path: string, name: (field: string) => string): string | null {
  const last = path.split(".").at(-1) ?? "";
  return WRAPPERS.has(last) ? null : name(last);
}

/** Values that are words of a program (`completed`) are written as such; what people typed stays as it is. */
const nameOfBar = (label: string, name: (field: string) => string): string => (/^[a-z]+(?:_[a-z]+)+$|^[a-z]{3,}$/.test(label) ? name(label) : label);
