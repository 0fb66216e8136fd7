// The two-sided transcript: finals, partials and gaps in time order. Follows the end until the reader scrolls away.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { CallState, Utterance } from '../core/callstate.ts';
import { clock } from '../core/format.ts';
import type { Channel, EventOf } from '../core/protocol.ts';
import type { TranscriptPartial } from '../gen/types.ts';
import { useApp } from './app.ts';
import { Icon } from './icons.tsx';
import { Rich } from './Rich.tsx';

type Row = { kind: 'final'; at: number; row: Utterance } | { kind: 'gap'; at: number; row: EventOf<'media_gap'> };

/** Below this the recogniser itself was not sure. */
const LOW_CONFIDENCE = 0.45;
const MERGED_GAP_MS = 1000;

interface Props {
  state: CallState;
  /** The utterance being played or pointed at. */
  active?: string | null;
  /** Where a click on a row's time leads (recording); without it rows are plain. */
  onSeek?: (utterance: Utterance) => void;
  /** Follow the newest line (live) or the active one (playback). */
  follow?: 'end' | 'active';
}

export function Transcript({ state, active = null, onSeek, follow = 'end' }: Props) {
  const app = useApp();
  const t = app.t.value;
  const box = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const partials = Object.values(state.partials).sort((a, b) => a.start_ms - b.start_ms);
  const partialText = partials.map((p) => p.stable + p.unstable).join();

  useLayoutEffect(() => {
    const el = box.current;
    if (el !== null && atEnd && follow === 'end') el.scrollTop = el.scrollHeight;
  }, [state.utterances.length, partialText, atEnd, follow]);

  useEffect(() => {
    const el = box.current;
    if (el === null || active === null || follow !== 'active') return;
    const row = el.querySelector<HTMLElement>(`[data-utterance-id="${CSS.escape(active)}"]`);
    if (row !== null) scrollInto(el, row);
  }, [active, follow]);

  const rows: Row[] = [
    ...state.utterances.map((row): Row => ({ kind: 'final', at: row.start_ms, row })),
    ...state.gaps
      .filter((g) => g.duration_ms >= MERGED_GAP_MS)
      .map((row): Row => ({ kind: 'gap', at: row.start_ms, row })),
  ].sort((a, b) => a.at - b.at);

  return (
    <div class="transcript-wrap">
      <div
        class="transcript"
        role="log"
        aria-live="off"
        aria-label={t(state.call.phase === 'ended' ? 'tr.title.ended' : 'tr.title')}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        tabIndex={0}
        ref={box}
        data-testid="transcript"
        onScroll={(e) => {
          const el = e.currentTarget;
          setAtEnd(el.scrollHeight - el.scrollTop - el.clientHeight < 32);
        }}
      >
        {rows.length + partials.length === 0 && (
          <p class="empty">{t(state.call.phase === 'live' ? 'tr.empty.live' : 'tr.empty')}</p>
        )}
        {rows.map((r) =>
          r.kind === 'gap' ? (
            <p key={`gap-${r.row.channel}-${r.row.start_ms}`} class="gap-row">
              {t(`channel.${r.row.channel}`)} ·{' '}
              {t('tr.gap', {
                seconds: Math.round(r.row.duration_ms / 1000),
                reason: app.word(`tr.gap.${r.row.reason}`, r.row.reason),
              })}
            </p>
          ) : (
            <FinalRow
              key={r.row.utterance_id}
              row={r.row}
              secrets={state.secrets}
              translation={state.translations[r.row.utterance_id] ?? ''}
              active={r.row.utterance_id === active}
              {...(onSeek === undefined ? {} : { onSeek })}
            />
          ),
        )}
        {partials.map((p) => (
          <PartialRow key={p.utterance_id} row={p} secrets={state.secrets} />
        ))}
      </div>
      {!atEnd && follow === 'end' && state.call.phase === 'live' && (
        <button
          type="button"
          class="to-latest"
          onClick={() => {
            setAtEnd(true);
            if (box.current !== null) box.current.scrollTop = box.current.scrollHeight;
          }}
        >
          <Icon name="down" size={14} /> {t('tr.latest')}
        </button>
      )}
    </div>
  );
}

function Who({ channel, at }: { channel: Channel; at: number }) {
  const t = useApp().t.value;
  return (
    <span class="who">
      {t(`channel.${channel}`)} <time>{clock(at)}</time>
    </span>
  );
}

function FinalRow(props: {
  row: Utterance;
  secrets: Readonly<Record<string, string>>;
  /** Empty: there is none. */
  translation: string;
  active: boolean;
  onSeek?: (u: Utterance) => void;
}) {
  const { row, secrets, translation, active, onSeek } = props;
  const t = useApp().t.value;
  const low = row.confidence < LOW_CONFIDENCE;
  return (
    <div
      class={`line ${row.channel}${active ? ' active' : ''}`}
      data-testid="utterance"
      data-utterance-id={row.utterance_id}
      data-channel={row.channel}
      data-partial="false"
      id={`u-${row.utterance_id}`}
      lang={row.language === 'zh' ? 'zh-CN' : row.language}
    >
      {onSeek === undefined ? (
        <Who channel={row.channel} at={row.start_ms} />
      ) : (
        <button
          type="button"
          class="who seek"
          onClick={() => onSeek(row)}
          aria-label={`${t('page.play')} ${clock(row.start_ms)}`}
        >
          <Icon name="play" size={11} /> {t(`channel.${row.channel}`)} <time>{clock(row.start_ms)}</time>
        </button>
      )}
      <p class={`bubble${low ? ' low' : ''}`} title={low ? t('tr.lowconf') : undefined}>
        <Rich text={row.text} corrections={row.corrections} secrets={secrets} />
      </p>
      {translation !== '' && (
        <p class="translation" data-testid="translation" lang={row.language === 'zh' ? 'en' : 'zh-CN'}>
          <span class="generated">{t('tr.translated')}</span> <Rich text={translation} secrets={secrets} />
        </p>
      )}
    </div>
  );
}

function PartialRow({ row, secrets }: { row: TranscriptPartial; secrets: Readonly<Record<string, string>> }) {
  const t = useApp().t.value;
  return (
    <div
      class={`line partial ${row.channel}`}
      data-testid="utterance"
      data-utterance-id={row.utterance_id}
      data-channel={row.channel}
      data-partial="true"
    >
      <Who channel={row.channel} at={row.start_ms} />
      <p class="bubble">
        <span class="stable">
          <Rich text={row.stable} secrets={secrets} />
        </span>
        <em class="unstable">
          <Rich text={row.unstable} secrets={secrets} />
        </em>
        <span class="sr-only">{t('tr.partial')}</span>
      </p>
    </div>
  );
}

/** Scrolls the box alone, never the page. */
function scrollInto(box: HTMLElement, row: HTMLElement): void {
  const smooth = !matchMedia('(prefers-reduced-motion: reduce)').matches;
  const top = row.offsetTop - box.offsetTop - box.clientHeight / 2 + row.clientHeight / 2;
  box.scrollTo({ top, behavior: smooth ? 'smooth' : 'auto' });
}

export function jumpTo(utteranceId: string): void {
  const row = document.getElementById(`u-${utteranceId}`);
  const box = row?.closest<HTMLElement>('.transcript');
  if (row === null || box === null || box === undefined) return;
  scrollInto(box, row);
  // In a narrow window the transcript itself may be below the fold.
  const { top, bottom } = box.getBoundingClientRect();
  if (bottom < 120 || top > innerHeight - 120) box.scrollIntoView({ block: 'nearest' });
  row.classList.remove('flash');
  // Restarting the animation needs a layout in between.
  void row.offsetWidth;
  row.classList.add('flash');
}
