/** What cannot be drawn says so in its own place, and all else stays. */
import { Component, type ReactNode } from "react";
import { ProblemNotice } from "./Notice.tsx";

interface BoundaryProps {
  /** Where it stands: somewhere else is tried anew. */
  readonly place: string;
  /** What is around the notice. */
  readonly frame?: (notice: ReactNode) => ReactNode;
  readonly children: ReactNode;
}

interface Tried {
  readonly place: string;
  readonly fallen: { readonly error: unknown } | null;
}

export class Boundary extends Component<BoundaryProps, Tried> {
  override state: Tried = { place: this.props.place, fallen: null };

  static getDerivedStateFromError(error: unknown): Partial<Tried> {
    return { fallen: { error } };
  }

  static getDerivedStateFromProps({ place }: BoundaryProps, tried: Tried): Tried | null {
    return place === tried.place ? null : { place, fallen: null };
  }

  override render(): ReactNode {
    const { frame = (notice) => notice, children } = this.props;
    return this.state.fallen === null ? children : frame(<ProblemNotice error={this.state.fallen.error} />);
  }
}
