/** A report's blocks, one under the other. */
import type { ReactNode } from "react";
import { useFormat } from "../../format/useFormat.ts";
import { useName } from "../../format/useName.ts";
import { useT } from "../../i18n/i18n.tsx";
import { InsightList } from "../../insights/InsightList.tsx";
import { BarList } from "../../ui/BarList.tsx";
import { sameBlock } from "../compare.ts";
import type { Block } from "../shape.ts";
import { Cards, Delta, isBadWhenMore } from "./Cards.tsx";
import { Cohorts } from "./Cohorts.tsx";
import { ListTable } from "./ListTable.tsx";
import { Series } from "./Series.tsx";

interface BlocksProps {
  readonly blocks: readonly Block[];
  readonly before: readonly Block[] | null;
  /** What all of it is about, for who cannot see where it stands. */
  readonly caption: string;
  /** The report's name: a block that is called the same needs no title of its own. */
  readonly of?: string;
  /** Inside of a panel, where there is less room. */
  readonly inner?: boolean;
}

export function Blocks({ blocks, before, caption, of, inner = false }: BlocksProps) {
  const name = useName();
  const several = blocks.length > 1;
  const titleOf = (block: Block) => (several ? titleIn(block.path, of, name) : null);
  return (
    <div className={inner ? "blocks is-inner" : "blocks"}>
      {runsOf(blocks).map((run) => (
        <div key={run[0]?.path} className={run.length > 1 ? "blocks-run" : undefined}>
          {run.map((block) => {
            const title = titleOf(block);
            return (
              <BlockFrame key={`${block.kind} ${block.path}`} block={block} title={title}>
                <OneBlock block={block} before={sameBlock(block, before)} caption={title === null ? caption : `${caption}: ${title}`} />
              </BlockFrame>
            );
          })}
        </div>
      ))}
    </div>
  );
}

/** What reads well in a part of the width. */
const isNarrow = (block: Block): boolean => block.kind === "bars" || (block.kind === "cards" && block.path !== "" && block.stats.length <= 5);

/** Narrow blocks that follow each other share the width. */
function runsOf(blocks: readonly Block[]): Block[][] {
  const runs: Block[][] = [];
  for (const block of blocks) {
    const last = runs.at(-1);
    if (last !== undefined && isNarrow(block) && last.every(isNarrow)) last.push(block);
    else runs.push([block]);
  }
  return runs;
}

function BlockFrame({ block, title, children }: { readonly block: Block; readonly title: string | null; readonly children: ReactNode }) {
  return (
    <div className="block" data-block={block.path}>
      {title === null ? null : <h4 className="block-title">{title}</h4>}
      {children}
    </div>
  );
}

function OneBlock({ block, before, caption }: { readonly block: Block; readonly before: Block | null; readonly caption: string }) {
  const t = useT();
  switch (block.kind) {
    case "insights":
      return <InsightList insights={block.insights} label={caption} />;
    case "cards":
      return <Cards block={block} before={before} />;
    case "bars":
      if (block.bars.length === 0) return <p className="soft">{t("empty.list")}</p>;
      return <Bars block={block} before={before} caption={caption} />;
    case "cohorts":
      return <Cohorts block={block} before={before} caption={caption} />;
    case "series":
      return <Series block={block} before={before} caption={caption} />;
    case "table":
      return <ListTable caption={caption} fields={block.fields} nested={block.nested} rows={block.rows} item={block.item} {...(before?.kind === "table" ? { before: before.rows } : {})} />;
  }
}

type BarsBlock = Extract<Block, { kind: "bars" }>;

function Bars({ block, before, caption }: { readonly block: BarsBlock; readonly before: Block | null; readonly caption: string }) {
  const format = useFormat();
  const name = useName();
  const items = block.bars.map((bar) => {
    const earlier = before?.kind === "bars" ? before.bars.find((other) => other.label === bar.label) : undefined;
    const label = bar.key === undefined ? nameOfBar(bar.label, name) : `${name(bar.key)} ${bar.label}`;
    return {
      key: bar.label,
      label,
      value: bar.value,
      text: format.value(bar.value, block.unit),
      note: earlier === undefined ? undefined : <Delta now={bar.value} before={earlier.value} text={format.value(earlier.value, block.unit)} unit={block.unit} badWhenMore={isBadWhenMore(bar.label)} />,
    };
  });
  return <BarList label={caption} items={items} />;
}

/** Objects that only wrap an answer are not worth a title. */
const WRAPPERS = new Set(["", "analytics", "data", "result", "summary"]);

function titleIn(path: string, of: string | undefined, name: (field: string) => string): string | null {
  const last = path.split(".").at(-1) ?? "";
  return WRAPPERS.has(last) || last === of ? null : name(last);
}

/** Values that are words of a program (`completed`) are written as such; what people typed stays as it is. */
const nameOfBar = (label: string, name: (field: string) => string): string => (/^[a-z]+(?:_[a-z]+)+$|^[a-z]{3,}$/.test(label) ? name(label) : label);
