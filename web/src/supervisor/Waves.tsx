// What lies under the player's position: waveforms, and the lane of what happened when.
import { wavePath } from '../core/audio.ts';
import type { CallState } from '../core/callstate.ts';
import { ownCards } from '../core/deck.ts';
import { UNKNOWN_INTENT } from '../core/fold.ts';
import { clock } from '../core/format.ts';
import type { HiddenSpan } from '../gen/types.ts';
import type { Leg } from '../net/api.ts';
import { useApp } from '../ui/app.ts';

const WIDTH = 800;
const HEIGHT = 44;

interface WaveProps {
  leg: Leg;
  peaks: readonly number[];
  hidden: readonly HiddenSpan[];
  at: number;
  total: number;
}

export function Wave({ leg, peaks, hidden, at, total }: WaveProps) {
  const width = (WIDTH * leg.duration_ms) / total;
  const id = `heard-${leg.channel}`;
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <defs>
        <clipPath id={id}>
          <rect x="0" y="0" width={(at / total) * WIDTH} height={HEIGHT} />
        </clipPath>
      </defs>
      {leg.gaps.map((g) => (
        <rect
          key={g.start_ms}
          class="wave-gap"
          x={(g.start_ms / total) * WIDTH}
          y="0"
          width={Math.max(1, (g.duration_ms / total) * WIDTH)}
          height={HEIGHT}
        />
      ))}
      {hidden.map((h) => (
        <rect
          key={`${h.channel}/${h.start_ms}`}
          class="wave-hidden"
          x={(h.start_ms / total) * WIDTH}
          y="0"
          width={Math.max(1, ((h.end_ms - h.start_ms) / total) * WIDTH)}
          height={HEIGHT}
        />
      ))}
      <path class="wave-rest" d={wavePath(peaks, width, HEIGHT)} />
      <path class="wave-heard" d={wavePath(peaks, width, HEIGHT)} clip-path={`url(#${id})`} />
    </svg>
  );
}

interface Mark {
  at: number;
  kind: 'intent' | 'used' | 'unused' | 'alert';
  title: string;
}

export function Lane({ state, total, onSeek }: { state: CallState; total: number; onSeek: (ms: number) => void }) {
  const app = useApp();
  const t = app.t.value;
  const startOf = new Map(state.utterances.map((u) => [u.utterance_id, u.start_ms]));
  const marks: Mark[] = [
    ...state.intents
      .filter(({ event }) => event.intent !== UNKNOWN_INTENT)
      .map(
        ({ event }): Mark => ({
          at: startOf.get(event.utterance_id) ?? 0,
          kind: 'intent',
          title: t('page.lane.intent', { name: app.intentName(event.intent) }),
        }),
      ),
    ...ownCards(state.cards)
      .filter((c) => c.offer.kind !== 'nothing')
      .map((c): Mark => {
        const used = c.feedback.some((a) => a !== 'rejected');
        return {
          at: c.offer.at_ms,
          kind: used ? 'used' : 'unused',
          title: t(used ? 'page.lane.used' : 'page.lane.unused', { title: c.offer.title }),
        };
      }),
    ...state.alerts.map(
      (a): Mark => ({
        at: startOf.get(a.alert.utterance_id) ?? 0,
        kind: 'alert',
        title: t('page.lane.alert', {
          name: app.labels.value.compliance_rules[a.alert.rule_id]?.name ?? a.alert.rule_id,
        }),
      }),
    ),
  ];
  return (
    <div class="lane" data-testid="event-lane">
      <span class="wave-name">{t('page.lane')}</span>
      <div class="marks">
        {marks.map((m, i) => (
          <button
            key={i}
            type="button"
            class={`mark-dot ${m.kind}`}
            style={{ left: `${(m.at / total) * 100}%` }}
            title={`${clock(m.at)} ${m.title}`}
            aria-label={`${clock(m.at)} ${m.title}`}
            onClick={() => onSeek(m.at)}
          />
        ))}
      </div>
    </div>
  );
}

export function Legend() {
  const t = useApp().t.value;
  return (
    <p class="legend dim">
      {(['intent', 'used', 'unused', 'alert'] as const).map((kind) => (
        <span key={kind}>
          <i class={`mark-dot ${kind}`} aria-hidden="true" /> {t(`page.legend.${kind}`)}
        </span>
      ))}
      <span>
        <i class="hidden-swatch" aria-hidden="true" /> {t('page.legend.hidden')}
      </span>
    </p>
  );
}
