// A call of the board, opened: what is being said, how it went so far, a note, and a word to the agent.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { SaveLine } from '../agent/Notes.tsx';
import { NoteModel } from '../agent/note.ts';
import type { BoardRow } from '../core/board.ts';
import type { CallState } from '../core/callstate.ts';
import { clock } from '../core/format.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Rich } from '../ui/Rich.tsx';
import { ErrorBox, Link, Skeleton } from '../ui/Shell.tsx';
import { jumpTo, Transcript } from '../ui/Transcript.tsx';
import { CallModel } from './callmodel.ts';

const MAX_WHISPER = 200;

export function BoardCall({ row }: { row: BoardRow }) {
  const app = useApp();
  const t = app.t.value;
  const model = useMemo(() => new CallModel(app, row.call_id), [app, row.call_id]);
  const note = useMemo(() => new NoteModel(app, row.call_id, () => ({})), [app, row.call_id]);
  useEffect(() => {
    void model.start();
    return () => {
      model.stop();
      void note.autosave.flush().then(() => note.autosave.stop());
    };
  }, [model, note]);
  const state = model.state.value;
  if (state === null) {
    return (
      <div class="board-call">
        {model.error.value !== null ? (
          <ErrorBox error={model.error.value} onRetry={() => void model.start()} />
        ) : (
          <Skeleton lines={4} />
        )}
      </div>
    );
  }
  return (
    <div class="board-call" data-testid="board-call">
      <section class="talk-column" aria-label={t('tr.title')}>
        <Transcript state={state} />
      </section>
      <div class="board-side">
        <MoodLine state={state} />
        <Alerts state={state} />
        {row.own ? null : <Whisper callId={row.call_id} />}
        <label class="form-text">
          <span class="form-label">{t('note.title')}</span>
          <textarea
            rows={2}
            maxLength={2000}
            value={note.text.value}
            placeholder={t('board.note.placeholder')}
            data-testid="board-note"
            onInput={(e) => note.write(e.currentTarget.value)}
          />
        </label>
        <SaveLine state={note.autosave.state.value} masked={note.masked.value} />
        <Link to={`/calls/${encodeURIComponent(row.call_id)}`}>{t('board.open')}</Link>
      </div>
    </div>
  );
}

const HEIGHT = 44;
const LEVEL = { calm: 0, confused: 1, anxious: 2, angry: 3 } as const;

/** The estimates over the call, a step a turn; the same in words for who does not see it. */
function MoodLine({ state }: { state: CallState }) {
  const t = useApp().t.value;
  const { moods } = state;
  if (moods.length === 0) return <p class="dim">{t('mood.none')}</p>;
  const y = (m: (typeof moods)[number]): number => HEIGHT - 6 - (LEVEL[m.mood] * (HEIGHT - 12)) / 3;
  const x = (i: number): number => (moods.length === 1 ? 50 : (i * 100) / (moods.length - 1));
  const last = moods.at(-1);
  return (
    <figure class="mood-line">
      <figcaption class="dim">{t('board.mood')}</figcaption>
      <svg viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <polyline points={moods.map((m, i) => `${x(i)},${y(m)}`).join(' ')} />
      </svg>
      <p class="sr-only">{moods.map((m) => `${clock(m.at_ms)} ${t(`mood.${m.mood}`)}`).join('；')}</p>
      {last !== undefined && (
        <p class={`mood ${last.mood}`}>
          <i aria-hidden="true" /> {t(`mood.${last.mood}`)} · {t(`mood.trend.${last.trend}`)}
        </p>
      )}
    </figure>
  );
}

function Alerts({ state }: { state: CallState }) {
  const app = useApp();
  const rules = app.labels.value.compliance_rules;
  return (
    <ul class="alert-list">
      {[...state.alerts].reverse().map((a) => (
        <li key={a.seq} class={a.alert.severity}>
          <button type="button" class="quote" onClick={() => jumpTo(a.alert.utterance_id)}>
            <strong>{rules[a.alert.rule_id]?.name ?? a.alert.rule_id}</strong> <Rich text={a.alert.quote} />
          </button>
        </li>
      ))}
      {[...state.whispers].reverse().map((w) => (
        <li key={w.seq} class="whisper">
          <p class="quote-line">
            <Icon name="whisper" size={12} /> {w.text}
          </p>
        </li>
      ))}
    </ul>
  );
}

function Whisper({ callId }: { callId: string }) {
  const app = useApp();
  const t = app.t.value;
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const send = async (words: string): Promise<void> => {
    if (words.trim() === '') return;
    setBusy(true);
    try {
      await app.api.whisper(callId, words.trim());
      setText('');
      app.say(t('whisper.sent'));
    } catch (error) {
      // What was typed stays, to be sent again.
      app.say(app.describe(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="whisper-form"
      onSubmit={(e) => {
        e.preventDefault();
        void send(text);
      }}
    >
      <label class="form-text">
        <span class="form-label">{t('whisper.title')}</span>
        <input
          value={text}
          maxLength={MAX_WHISPER}
          placeholder={t('whisper.placeholder')}
          data-testid="whisper-text"
          onInput={(e) => setText(e.currentTarget.value)}
        />
      </label>
      <div class="actions">
        {(['verify', 'slower', 'calm', 'limit'] as const).map((quick) => (
          <button
            key={quick}
            type="button"
            class="small"
            disabled={busy}
            onClick={() => void send(t(`whisper.quick.${quick}`))}
          >
            {t(`whisper.quick.${quick}`)}
          </button>
        ))}
        <span class="grow" />
        <button type="submit" class="primary" disabled={busy || text.trim() === ''} data-testid="whisper-send">
          {t('whisper.send')}
        </button>
      </div>
    </form>
  );
}
