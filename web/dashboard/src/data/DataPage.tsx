import { Page } from "../shell/Page.tsx";

export default function DataPage() {
  return <Page title="DataPage">{null}</Page>;
}
