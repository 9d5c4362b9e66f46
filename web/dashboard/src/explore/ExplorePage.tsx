import { Page } from "../shell/Page.tsx";

export default function ExplorePage() {
  return <Page title="ExplorePage">{null}</Page>;
}
