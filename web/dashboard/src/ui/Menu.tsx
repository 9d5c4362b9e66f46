/** A button that opens a list of things to do, or to choose from. */
import { Suspense, lazy, useState } from "react";
import type { MenuProps } from "./OpenedMenu.tsx";

const load = () => import("./OpenedMenu.tsx");
const OpenedMenu = lazy(load);

export function Menu(props: MenuProps) {
  const [opened, setOpened] = useState(false);
  const button = (
    <button
      type="button"
      className={props.className ?? "button"}
      aria-label={props.label}
      aria-haspopup="menu"
      aria-expanded={false}
      onPointerEnter={() => void load()}
      onFocus={() => void load()}
      onClick={() => setOpened(true)}
    >
      {props.trigger}
    </button>
  );
  return opened ? (
    <Suspense fallback={button}>
      <OpenedMenu {...props} />
    </Suspense>
  ) : (
    button
  );
}
