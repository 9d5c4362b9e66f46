import { Page } from "../shell/Page.tsx";

export default function SqlPage() {
  return <Page title="SqlPage">{null}</Page>;
}
