/** A menu once somebody has opened it: fetched then, since most visits open none. */
import { Menu as Base } from "@base-ui/react/menu";
import type { ReactNode } from "react";
import { Icon } from "./icons.tsx";

export interface MenuItem {
  readonly key: string;
  readonly label: string;
  readonly detail?: string | undefined;
  readonly checked?: boolean | undefined;
  readonly onSelect: () => void;
}

export interface MenuProps {
  readonly label: string;
  readonly trigger: ReactNode;
  readonly items: readonly MenuItem[];
  readonly className?: string;
  readonly side?: "top" | "bottom";
  readonly align?: "start" | "end";
}

export default function OpenedMenu({ label, trigger, items, className = "button", side = "bottom", align = "end" }: MenuProps) {
  return (
    <Base.Root modal={false} defaultOpen>
      <Base.Trigger className={className} aria-label={label}>
        {trigger}
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner className="popup-place" side={side} align={align} sideOffset={6}>
          <Base.Popup className="popup menu">
            {items.map((item) => (
              <Base.Item key={item.key} className="menu-item" onClick={item.onSelect}>
                <span className="menu-check">{item.checked === true ? <Icon name="check" size={14} /> : null}</span>
                <span className="menu-label">{item.label}</span>
                {item.detail === undefined ? null : <span className="menu-detail">{item.detail}</span>}
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
