import { Page } from "../shell/Page.tsx";

export default function AccessPage() {
  return <Page title="AccessPage">{null}</Page>;
}
