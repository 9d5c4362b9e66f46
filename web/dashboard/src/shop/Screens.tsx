/** The simulated shop's screens. Where a click leads is the page's matter. */
import type { ReactNode } from "react";
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { Icon } from "../ui/icons.tsx";
import { CURRENCY, GOODS, type Good, Picture } from "./Goods.tsx";
import type { Screen, Visit } from "./visit.ts";

export interface ScreenProps {
  readonly visit: Visit;
  readonly good: Good;
  readonly busy: boolean;
  readonly onChoose: (good: Good) => void;
  readonly onGo: (next: Screen) => void;
  readonly onAgain: () => void;
}

const Price = ({ of }: { readonly of: Good }) => {
  const format = useFormat();
  return <>{format.value(of.price, { kind: "money", currency: CURRENCY })}</>;
};

export function ScreenOf(props: ScreenProps): ReactNode {
  switch (props.visit.screen) {
    case "home":
      return <Home {...props} />;
    case "product":
      return <Product {...props} />;
    case "cart":
      return <Cart {...props} />;
    case "success":
      return <Success {...props} />;
    case "exit":
      return <Exit {...props} />;
  }
}

function Home({ busy, onChoose, onGo }: ScreenProps) {
  const t = useT();
  return (
    <>
      <p className="shop-lead">{t("shop.home.title")}</p>
      <ul className="goods">
        {GOODS.map((own) => (
          <li key={own.key}>
            <button
              type="button"
              className="good"
              disabled={busy}
              onClick={() => {
                onChoose(own);
                onGo("product");
              }}
            >
              <Picture good={own.key} />
              <span className="good-name">{t(`shop.good.${own.key}`)}</span>
              <span className="good-price">
                <Price of={own} />
              </span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Back({ busy, to, onGo }: { readonly busy: boolean; readonly to: Screen; readonly onGo: (next: Screen) => void }) {
  const t = useT();
  return (
    <button type="button" className="button is-bare is-small shop-back" disabled={busy} onClick={() => onGo(to)}>
      <Icon name="back" size={14} /> {t(`shop.screen.${to}`)}
    </button>
  );
}

function Product({ good, busy, onGo }: ScreenProps) {
  const t = useT();
  return (
    <>
      <Back busy={busy} to="home" onGo={onGo} />
      <div className="good is-large">
        <Picture good={good.key} />
      </div>
      <p className="shop-lead">
        {t(`shop.good.${good.key}`)}
        <span className="good-price">
          <Price of={good} />
        </span>
      </p>
      <p className="soft">{t("shop.product.what")}</p>
      <button type="button" className="button is-primary is-wide" disabled={busy} onClick={() => onGo("cart")}>
        {t("shop.product.add")}
      </button>
    </>
  );
}

function Cart({ good, busy, onGo }: ScreenProps) {
  const t = useT();
  return (
    <>
      <Back busy={busy} to="product" onGo={onGo} />
      <p className="shop-lead">{t("shop.cart.title")}</p>
      <div className="cart-row">
        <Picture good={good.key} />
        <span className="good-name">{t(`shop.good.${good.key}`)}</span>
        <span className="good-price">
          <Price of={good} />
        </span>
      </div>
      <dl className="cart-total">
        <dt>{t("shop.cart.total")}</dt>
        <dd>
          <Price of={good} />
        </dd>
      </dl>
      <button type="button" className="button is-primary is-wide" disabled={busy} onClick={() => onGo("success")}>
        {t("shop.cart.pay")}
      </button>
    </>
  );
}

function Success({ busy, onAgain }: ScreenProps) {
  const t = useT();
  return (
    <div className="shop-end">
      <span className="shop-mark is-good">
        <Icon name="check" size={28} />
      </span>
      <p className="shop-lead">{t("shop.success.title")}</p>
      <p className="soft">{t("shop.success.what")}</p>
      <button type="button" className="button is-wide" disabled={busy} onClick={onAgain}>
        {t("shop.again")}
      </button>
    </div>
  );
}

function Exit({ visit, onAgain }: ScreenProps) {
  const t = useT();
  const at = visit.ended?.at ?? "home";
  const told = at === "success" ? t("shop.exit.bought") : t(visit.ended?.how === "idle" ? "shop.exit.idle" : "shop.exit.left", { step: t(`shop.screen.${at}`) });
  return (
    <div className="shop-end">
      <span className="shop-mark">
        <Icon name="out" size={26} />
      </span>
      <p className="shop-lead">{t("shop.exit.title")}</p>
      <p className="soft">{told}</p>
      <button type="button" className="button is-primary is-wide" onClick={onAgain}>
        {t("shop.again")}
      </button>
    </div>
  );
}
