/** A page's head and body. */
import { type ReactNode, useEffect } from "react";

interface PageProps {
  readonly title: string;
  readonly subtitle?: ReactNode;
  readonly tools?: ReactNode;
  readonly children: ReactNode;
}

export function Page({ title, subtitle, tools, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Ebbtide`;
  }, [title]);
  return (
    <main className="page" id="content" tabIndex={-1}>
      <header className="page-head">
        <div>
          <h1>{title}</h1>
          {subtitle === undefined ? null : <p className="soft">{subtitle}</p>}
        </div>
        {tools === undefined ? null : <div className="page-tools">{tools}</div>}
      </header>
      {children}
    </main>
  );
}
