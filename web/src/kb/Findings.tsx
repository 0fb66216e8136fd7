// What the machine found in an article: the place, why, what to do; a reviewer confirms what may be confirmed.
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Link } from '../ui/Shell.tsx';
import { articlePath } from './Frame.tsx';
import type { Finding } from './requests.ts';

interface Props {
  findings: readonly Finding[];
  language: string;
  confirmed?: ReadonlySet<string>;
  onConfirm?: (key: string, on: boolean) => void;
  onGo?: (finding: Finding) => void;
}

export function Findings({ findings, language, confirmed, onConfirm, onGo }: Props) {
  const app = useApp();
  const t = app.t.value;
  if (findings.length === 0) {
    return (
      <p class="kb-clean" data-testid="kb-clean">
        <Icon name="check" size={14} /> {t('kbc.check.clean')}
      </p>
    );
  }
  return (
    <ul class="findings" data-testid="kb-findings">
      {findings.map((one) => (
        <li key={one.key + one.start} class={one.blocks ? 'blocks' : ''} data-testid="kb-finding" data-code={one.code}>
          <strong>
            {t(one.blocks ? 'kbc.check.must' : 'kbc.check.may')} · {t(`kbc.check.${one.code}` as Key)}
          </strong>
          <span class="dim"> {app.word(`kbc.field.${one.field.split('.')[0]}`, one.field)}</span>
          {one.quote !== '' && (
            <blockquote>
              <mark>{one.quote.slice(0, 120)}</mark>
            </blockquote>
          )}
          {one.facts.title !== undefined && (
            <p>
              <Link to={articlePath(one.facts.article_id ?? '', language)}>{one.facts.title}</Link> v{one.facts.version}
              {one.facts.theirs !== undefined && <> · {t('kbc.check.theirs', { text: one.facts.theirs })}</>}
            </p>
          )}
          <p class="dim">
            {one.facts.rule !== undefined
              ? `${one.facts.rule}: ${one.facts.advice ?? ''}`
              : t(`kbc.fix.${one.code}` as Key)}
          </p>
          {onGo !== undefined && (
            <button type="button" class="small quiet" onClick={() => onGo(one)}>
              {t('kbc.check.go')}
            </button>
          )}
          {onConfirm !== undefined && !one.blocks && (
            <label class="check">
              <input
                type="checkbox"
                checked={confirmed?.has(one.key) ?? false}
                data-testid="kb-confirm"
                onChange={(e) => onConfirm(one.key, e.currentTarget.checked)}
              />{' '}
              {t('kbc.check.confirm')}
            </label>
          )}
        </li>
      ))}
    </ul>
  );
}
