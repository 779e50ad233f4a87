/** What is different between a version and what is open: by node, old value and new. */
import type { ReactNode } from "react";
import { type Difference, isSame, type StepChange, type ValueChange } from "../../core/diff";
import { t } from "../../ui/text";

export function Changes({ version, found }: { version: number; found: Difference }): ReactNode {
  if (isSame(found)) return <p className="quiet">{t("versions.same")}</p>;
  const { steps, moved, others, title } = found;
  const rest = [
    moved ? t("versions.moved", { count: moved }) : "",
    others ? t("versions.others", { count: others }) : "",
  ].filter(Boolean);
  return (
    <div className="changes">
      <p className="quiet small">{t("versions.since", { version })}</p>
      <dl>
        {title ? <Values title={t("save.name")} values={[title]} /> : null}
        {steps.map((one) => (
          <Values key={`${one.inside} ${one.step} ${one.what}`} title={one.title} change={one} values={one.values} />
        ))}
      </dl>
      {rest.length ? <p className="quiet small">{rest.join(", ")}</p> : null}
    </div>
  );
}

interface Props {
  title: string;
  change?: StepChange;
  values: readonly ValueChange[];
}

function Values({ title, change, values }: Props): ReactNode {
  const what = change && change.what !== "changed" ? change.what : null;
  return (
    <>
      <dt>
        {title}
        {change?.inside ? <span className="quiet small"> {t("versions.inside", { name: change.inside })}</span> : null}
        {what ? <span className={`badge ${what === "added" ? "good" : "warn"}`}>{t(`versions.${what}`)}</span> : null}
      </dt>
      {values.map(({ input, before, after }) => (
        <dd key={input}>
          <span className="quiet">{input.replaceAll("_", " ")}</span>
          <del>{before || t("versions.empty")}</del>
          <ins>{after || t("versions.empty")}</ins>
        </dd>
      ))}
    </>
  );
}
