/** A panel from the side, over the page. */
import { Suspense, lazy } from "react";
import type { SheetProps } from "./OpenedSheet.tsx";

const OpenedSheet = lazy(() => import("./OpenedSheet.tsx"));

export function Sheet(props: SheetProps) {
  return (
    <Suspense fallback={null}>
      <OpenedSheet {...props} />
    </Suspense>
  );
}
