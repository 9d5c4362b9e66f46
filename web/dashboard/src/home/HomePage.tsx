import { Page } from "../shell/Page.tsx";

export default function HomePage() {
  return <Page title="HomePage">{null}</Page>;
}
