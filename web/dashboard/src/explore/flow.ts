/** Where the nodes and bands of a drawing of paths lie. Pure. */
import { type Edge, nameOf } from "./results.ts";

export interface Node {
  readonly column: number;
  readonly name: string;
  readonly count: number;
  readonly y: number;
  readonly height: number;
}

export interface Band {
  readonly edge: Edge;
  readonly from: Node;
  readonly to: Node;
  readonly fromY: number;
  readonly toY: number;
  readonly height: number;
}

export interface Flow {
  readonly columns: number;
  readonly nodes: readonly Node[];
  readonly bands: readonly Band[];
}

const GAP = 10;

const keyOf = (column: number, name: string): string => `${column} ${name}`;

/** Each step's items one under the other, the commonest first; a band is as thick as its edge is common. */
export function flowOf(edges: readonly Edge[], height: number): Flow {
  const out = new Map<string, number>();
  const into = new Map<string, number>();
  for (const edge of edges) {
    const [from, to] = [keyOf(edge.step - 1, nameOf(edge.from)), keyOf(edge.step, nameOf(edge.to))];
    out.set(from, (out.get(from) ?? 0) + edge.count);
    into.set(to, (into.get(to) ?? 0) + edge.count);
  }
  const columns = Math.max(0, ...edges.map((edge) => edge.step + 1));
  const named = [...new Set([...out.keys(), ...into.keys()])].map((key) => {
    const at = key.indexOf(" ");
    return { key, column: Number(key.slice(0, at)), name: key.slice(at + 1), count: Math.max(out.get(key) ?? 0, into.get(key) ?? 0) };
  });
  const nodes = new Map<string, Node>();
  for (let column = 0; column < columns; column += 1) {
    const own = named.filter((node) => node.column === column).sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
    const total = own.reduce((sum, node) => sum + node.count, 0);
    const room = Math.max(1, height - GAP * (own.length - 1));
    let y = 0;
    for (const { key, name, count } of own) {
      const share = Math.max(2, (count / Math.max(1, total)) * room);
      nodes.set(key, { column, name, count, y, height: share });
      y += share + GAP;
    }
  }
  return { columns, nodes: [...nodes.values()], bands: bandsOf(edges, nodes) };
}

function bandsOf(edges: readonly Edge[], nodes: ReadonlyMap<string, Node>): Band[] {
  const left = new Map<Node, number>();
  const right = new Map<Node, number>();
  return [...edges].sort((a, b) => b.count - a.count).flatMap((edge): Band[] => {
    const from = nodes.get(keyOf(edge.step - 1, nameOf(edge.from)));
    const to = nodes.get(keyOf(edge.step, nameOf(edge.to)));
    if (from === undefined || to === undefined) return [];
    const height = (edge.count / Math.max(1, from.count)) * from.height;
    const inside = (edge.count / Math.max(1, to.count)) * to.height;
    const band = { edge, from, to, fromY: from.y + (left.get(from) ?? 0), toY: to.y + (right.get(to) ?? 0), height: Math.max(1, Math.min(height, inside)) };
    left.set(from, (left.get(from) ?? 0) + height);
    right.set(to, (right.get(to) ?? 0) + inside);
    return [band];
  });
}
