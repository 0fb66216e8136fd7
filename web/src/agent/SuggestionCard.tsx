// The one card in front, in a place of fixed height, with what can be done about it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type CallState, type Card, isWithdrawn, sourceKey } from '../core/callstate.ts';
import { ownCards, waiting } from '../core/deck.ts';
import { percent } from '../core/format.ts';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Rich } from '../ui/Rich.tsx';
import { SourceLine } from '../ui/Source.tsx';
import type { AgentModel } from './model.ts';

export const REASONS = ['wrong_topic', 'outdated', 'inaccurate', 'wording', 'late'] as const;
const FRESH_MS = 3000;
/** An agent sees the age of a suggestion once it is older than this. */
const OLD_S = 5;

/** Whether the reasons are open, and whether the focus goes to them: not when a host page asked, where somebody may be typing. */
export type Rejecting = 'focused' | 'quietly' | null;

interface Props {
  model: AgentModel;
  state: CallState;
  now: number;
  editing: boolean;
  setEditing: (on: boolean) => void;
  rejecting: Rejecting;
  setRejecting: (how: Rejecting) => void;
  onSearch: () => void;
}

export function SuggestionArea(props: Props) {
  const { model, state } = props;
  const app = useApp();
  const t = app.t.value;
  const keys = app.keys.value;
  const card = model.shownCard();
  const own = ownCards(state.cards);
  const index = own.findIndex((c) => c.offer.suggestion_id === card?.offer.suggestion_id);
  const more = waiting(model.deck.value, state.cards);
  const newest = own.at(-1);
  const step = (by: number): void => {
    const next = own[index + by];
    if (next !== undefined) model.show(next.offer.suggestion_id);
  };
  return (
    <section
      class="suggestion"
      aria-label={t('sug.title')}
      onPointerEnter={(e) => e.pointerType === 'mouse' && model.hold('hover')}
      onPointerLeave={() => model.release('hover')}
      onFocusCapture={() => model.hold('focus')}
      onBlurCapture={(e) => {
        if (!(e.relatedTarget instanceof Node) || !e.currentTarget.contains(e.relatedTarget)) model.release('focus');
      }}
    >
      <header class="sug-head">
        <h2>{card === null ? t('sug.title') : t(`sug.kind.${card.offer.kind}`)}</h2>
        {card !== null && <Age at={card.at} now={props.now} ended={state.call.phase === 'ended'} />}
        <span class="grow" />
        {more > 0 && newest !== undefined && (
          <button
            type="button"
            class="pill new"
            data-testid="queued-count"
            aria-keyshortcuts={keys.next}
            title={keys.next}
            onClick={() => model.show(newest.offer.suggestion_id)}
          >
            {t('sug.waiting.count', { n: more })}
          </button>
        )}
        {own.length > 1 && index >= 0 && (
          <span class="stepper">
            <button
              type="button"
              class="quiet"
              disabled={index === 0}
              aria-label={t('sug.history.prev')}
              onClick={() => step(-1)}
            >
              <Icon name="left" size={14} />
            </button>
            <span class="num">
              {index + 1}/{own.length}
            </span>
            <button
              type="button"
              class="quiet"
              disabled={index === own.length - 1}
              aria-label={t('sug.history.next')}
              onClick={() => step(1)}
            >
              <Icon name="right" size={14} />
            </button>
          </span>
        )}
      </header>
      {card === null ? (
        <div class="card waiting" data-testid="suggestion-waiting">
          <p class="empty">{t('sug.waiting')}</p>
        </div>
      ) : (
        <PrimaryCard key={card.offer.suggestion_id} {...props} card={card} />
      )}
      {card === null ? <div class="options none" /> : <Options card={card} model={model} />}
      <p class="sr-only" role="status" aria-live="polite">
        {newest === undefined ? '' : t('sug.announce', { title: newest.offer.title || t('sug.kind.nothing') })}
      </p>
    </section>
  );
}

function Age({ at, now, ended }: { at: string; now: number; ended: boolean }) {
  const t = useApp().t.value;
  const seconds = Math.floor((now - Date.parse(at)) / 1000);
  if (ended || !(seconds > OLD_S)) return null;
  return (
    <span class="dim num age">
      {seconds < 60 ? t('sug.age', { n: seconds - (seconds % 5) }) : t('sug.age.min', { n: Math.floor(seconds / 60) })}
    </span>
  );
}

function PrimaryCard(props: Props & { card: Card }) {
  const { model, state, card, now, editing, setEditing, rejecting, setRejecting, onSearch } = props;
  const app = useApp();
  const t = app.t.value;
  const keys = app.keys.value;
  const { offer } = card;
  const actions = model.actionsOn(card);
  const used = actions.includes('used');
  const rejected = actions.includes('rejected');
  const draft = state.drafts[offer.suggestion_id];
  const fresh = now - Date.parse(card.at) < FRESH_MS;
  const nothing = offer.kind === 'nothing';
  const withdrawn = isWithdrawn(card);
  return (
    <article
      class={`card primary${rejected ? ' rejected' : ''}${used ? ' used' : ''}${nothing ? ' nothing' : ''}${withdrawn ? ' rejected' : ''}`}
      data-testid="suggestion"
      data-withdrawn={String(withdrawn)}
      data-suggestion-id={offer.suggestion_id}
      data-kind={offer.kind}
      data-article-id={offer.citations[0]?.article_id}
      data-generated={String(offer.generated)}
    >
      <div class="card-title">
        {fresh && <span class="fresh" aria-hidden="true" />}
        <h3>{offer.title || (offer.intent !== '' ? app.intentName(offer.intent) : '')}</h3>
        {!nothing && <Confidence value={offer.confidence} />}
      </div>
      {withdrawn && (
        <p class="generated" role="alert" data-testid="withdrawn">
          <Icon name="info" size={14} /> {t('sug.withdrawn')}
        </p>
      )}
      {editing ? (
        <Editor model={model} card={card} onDone={() => setEditing(false)} />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a long answer scrolls inside its fixed place
        <div class="sentence" tabIndex={0} data-testid="suggestion-text">
          {nothing ? offer.text || t('sug.nothing') : <Rich text={offer.text} secrets={state.secrets} />}
          {draft !== undefined && (
            <p class="draft" data-testid="reply-draft">
              <Rich text={draft} secrets={state.secrets} />
              <span class="caret" aria-hidden="true" />
            </p>
          )}
        </div>
      )}
      {offer.generated || draft !== undefined ? (
        <p class="generated" data-testid="generated-label">
          <Icon name="info" size={14} /> {t(draft === undefined ? 'sug.generated' : 'sug.drafting')}
        </p>
      ) : null}
      {!nothing && <SourceLine citations={offer.citations} />}
      {!editing && (
        <div class="actions">
          {nothing || withdrawn ? (
            <button type="button" class="primary" data-testid="sug-search" onClick={onSearch}>
              <Icon name="search" size={14} /> {t('sug.nothing.do')}
            </button>
          ) : (
            <>
              <button
                type="button"
                class={used ? 'done' : 'primary'}
                data-testid="feedback-used"
                aria-pressed={used}
                aria-keyshortcuts={keys.adopt1}
                title={keys.adopt1}
                onClick={() => model.adopt(card, 0)}
              >
                <Icon name="check" size={14} /> {t(used ? 'sug.adopted' : 'sug.adopt')}
              </button>
              <button type="button" data-testid="feedback-copied" onClick={() => void model.copy(card, offer.text)}>
                {t('sug.copy')}
              </button>
              <button
                type="button"
                data-testid="feedback-edit"
                aria-keyshortcuts={keys.edit}
                title={keys.edit}
                onClick={() => setEditing(true)}
              >
                {t(actions.includes('edited') ? 'sug.edited' : 'sug.edit')}
              </button>
            </>
          )}
          <span class="grow" />
          {offer.generated && <StyleButton />}
          <RejectMenu
            open={rejecting}
            setOpen={setRejecting}
            shortcut={keys.reject}
            rejected={rejected}
            onPick={(reason) => model.feedback(card, 'rejected', { reason })}
          />
        </div>
      )}
    </article>
  );
}

/** How replies are worded from the next one on: as kept for this person. */
function StyleButton() {
  const app = useApp();
  const t = app.t.value;
  const { style } = app.preferences.value;
  return (
    <button
      type="button"
      class="quiet"
      data-testid="style"
      data-style={style}
      aria-keyshortcuts={app.keys.value.style}
      title={`${t('style.title')}  ${app.keys.value.style}`}
      onClick={() => {
        app.asked.value = 'style';
      }}
    >
      {t(`style.${style}`)}
    </button>
  );
}

export function Confidence({ value }: { value: number }) {
  const t = useApp().t.value;
  const level = value >= 0.75 ? 'high' : value >= 0.5 ? 'mid' : 'low';
  return (
    <span class={`confidence ${level}`} title={`${t('sug.confidence')} ${percent(value)}`} data-testid="confidence">
      <span class="bars" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span class="sr-only">{t('sug.confidence')} </span>
      <span class="num">{percent(value)}</span>
    </span>
  );
}

function Editor({ model, card, onDone }: { model: AgentModel; card: Card; onDone: () => void }) {
  const app = useApp();
  const t = app.t.value;
  const area = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(model.spoken(card.offer.text));
  useEffect(() => {
    model.hold('edit');
    const el = area.current;
    el?.focus();
    el?.setSelectionRange(el.value.length, el.value.length);
    return () => model.release('edit');
  }, [model]);
  const save = async (): Promise<void> => {
    model.feedback(card, 'edited', { text });
    await app.copy(text);
    onDone();
  };
  return (
    <div class="editor">
      <textarea
        ref={area}
        value={text}
        aria-label={t('sug.edit.label')}
        data-testid="edit-text"
        maxLength={2000}
        onInput={(e) => setText(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === 'Escape') {
            e.stopPropagation();
            onDone();
          } else if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) void save();
        }}
      />
      <div class="actions">
        <button
          type="button"
          class="primary"
          data-testid="edit-done"
          disabled={text.trim() === ''}
          onClick={() => void save()}
        >
          {t('sug.edit.done')}
        </button>
        <button type="button" data-testid="edit-cancel" onClick={onDone}>
          {t('common.cancel')}
        </button>
      </div>
    </div>
  );
}

function RejectMenu(props: {
  open: Rejecting;
  setOpen: (how: Rejecting) => void;
  shortcut: string;
  rejected: boolean;
  onPick: (reason: string) => void;
}) {
  const { open, setOpen, shortcut, rejected, onPick } = props;
  const t = useApp().t.value;
  const menu = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (open === null) return;
    if (open === 'focused') menu.current?.querySelector('button')?.focus();
    const away = (e: PointerEvent): void => {
      if (!(e.target instanceof Node) || menu.current?.parentElement?.contains(e.target) !== true) setOpen(null);
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [open, setOpen]);
  const close = (): void => {
    if (open === 'focused') button.current?.focus();
    setOpen(null);
  };
  return (
    <div class="menu-wrap">
      <button
        ref={button}
        type="button"
        class="quiet"
        data-testid="feedback-rejected"
        aria-haspopup="menu"
        aria-expanded={open !== null}
        aria-keyshortcuts={shortcut}
        title={shortcut}
        onClick={() => setOpen(open === null ? 'focused' : null)}
      >
        {t(rejected ? 'sug.rejected' : 'sug.reject')} <Icon name="down" size={12} />
      </button>
      {open !== null && (
        <div
          ref={menu}
          class="menu"
          role="menu"
          tabIndex={-1}
          aria-label={t('sug.reject')}
          onKeyDown={(e) => {
            const items = [...(menu.current?.querySelectorAll('button') ?? [])];
            const at = items.indexOf(document.activeElement as HTMLButtonElement);
            if (e.key === 'Escape') close();
            else if (/^[1-5]$/.test(e.key)) items[Number(e.key) - 1]?.click();
            else if (e.key === 'ArrowDown') items[(at + 1) % items.length]?.focus();
            else if (e.key === 'ArrowUp') items[(at - 1 + items.length) % items.length]?.focus();
            else return;
            e.preventDefault();
            e.stopPropagation();
          }}
        >
          {REASONS.map((reason, i) => (
            <button
              key={reason}
              type="button"
              role="menuitem"
              data-testid={`reject-${reason}`}
              onClick={() => {
                onPick(reason);
                close();
              }}
            >
              <span class="dim num" aria-hidden="true">
                {i + 1}
              </span>
              {t(`sug.reason.${reason}` as Key)}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function Options({ card, model }: { card: Card; model: AgentModel }) {
  const app = useApp();
  const t = app.t.value;
  const keys = app.keys.value;
  const inForce = card.offer.options.filter((o) => !card.gone.includes(sourceKey(o.citation)));
  const options = isWithdrawn(card) ? [] : inForce.slice(0, 2);
  if (options.length === 0) return <div class="options none" />;
  return (
    <details class="options" data-testid="options">
      <summary>
        <span class="dim">{t('sug.options')}</span>
        <span class="option-titles">{options.map((o, i) => `${i + 2} ${o.title}`).join(' · ')}</span>
      </summary>
      {options.map((option, i) => (
        <div
          key={option.citation.passage_id}
          class="option"
          data-testid="option"
          data-article-id={option.citation.article_id}
        >
          <h4>
            {option.title} <Confidence value={option.confidence} />
          </h4>
          <p>
            <Rich text={option.text} />
          </p>
          <SourceLine citations={[option.citation]} />
          <div class="actions">
            <button
              type="button"
              class="small"
              title={i === 0 ? keys.adopt2 : keys.adopt3}
              onClick={() => model.adopt(card, i + 1)}
            >
              {t('sug.adopt')}
            </button>
            <button type="button" class="small" onClick={() => void model.copy(card, option.text)}>
              {t('sug.copy')}
            </button>
          </div>
        </div>
      ))}
    </details>
  );
}
