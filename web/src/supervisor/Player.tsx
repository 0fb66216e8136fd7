// Playback of one or both legs with their waveforms and the lane of events. Two media elements, one clock: the second follows the first.

import type { RefObject } from 'preact';
import { useCallback, useEffect, useImperativeHandle, useRef, useState } from 'preact/hooks';
import { wavePath } from '../core/audio.ts';
import type { CallState } from '../core/callstate.ts';
import { ownCards } from '../core/deck.ts';
import { UNKNOWN_INTENT } from '../core/fold.ts';
import { clock } from '../core/format.ts';
import type { Channel } from '../core/protocol.ts';
import type { Leg } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';

export interface PlayerHandle {
  /** Plays [fromMs, toMs) of a channel ('both' for all), then stops; without ``toMs`` plays on. */
  play: (fromMs: number, toMs?: number, channel?: Channel | 'both') => void;
  toggle: () => void;
}

interface Props {
  callId: string;
  legs: readonly Leg[];
  state: CallState;
  onTime: (ms: number, playing: boolean) => void;
  /** How the page starts and stops playback. */
  handle: RefObject<PlayerHandle | null>;
}

const BUCKETS = 800;
const WIDTH = 800;
const HEIGHT = 44;
/** Legs further apart than this are brought together again. */
const DRIFT_S = 0.08;
const SPEEDS = [1, 1.25, 1.5, 2];

export function Player({ callId, legs, state, onTime, handle }: Props) {
  const app = useApp();
  const t = app.t.value;
  const [channel, setChannel] = useState<Channel | 'both'>('both');
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  const [speed, setSpeed] = useState(1);
  const [failed, setFailed] = useState(false);
  const [peaks, setPeaks] = useState<Partial<Record<Channel, number[]>>>({});
  const [ticket, setTicket] = useState<string | null>(null);
  const media = useRef<Partial<Record<Channel, HTMLAudioElement | null>>>({});
  const until = useRef<number | null>(null);
  const resumeAt = useRef<{ ms: number; play: boolean } | null>(null);
  const renewed = useRef(0);
  const total = Math.max(1, ...legs.map((l) => l.duration_ms));

  const renew = useCallback(async (): Promise<void> => {
    try {
      setTicket((await app.api.ticket('audio', callId)).ticket);
      setFailed(false);
    } catch {
      setFailed(true);
    }
  }, [app, callId]);
  useEffect(() => void renew(), [renew]);
  useEffect(() => {
    for (const leg of legs) {
      app.api
        .peaks(callId, leg.channel, BUCKETS)
        .then((found) => setPeaks((before) => ({ ...before, [leg.channel]: found.peaks })))
        .catch(() => undefined); // without a waveform the bar alone is shown
    }
  }, [app, callId, legs]);

  const elements = useCallback(
    (): HTMLAudioElement[] => legs.map((l) => media.current[l.channel]).filter((el) => el != null),
    [legs],
  );
  const pause = useCallback((): void => {
    for (const el of elements()) el.pause();
    setPlaying(false);
  }, [elements]);

  const seek = useCallback(
    (ms: number): void => {
      const to = Math.max(0, Math.min(total, ms));
      for (const el of elements()) el.currentTime = to / 1000;
      setAt(to);
    },
    [elements, total],
  );
  const start = useCallback(async (): Promise<void> => {
    try {
      await Promise.all(elements().map((el) => el.play()));
      setPlaying(true);
    } catch {
      setPlaying(false);
    }
  }, [elements]);

  useImperativeHandle(
    handle,
    () => ({
      play: (fromMs, toMs, which = 'both') => {
        setChannel(which !== 'both' && !legs.some((l) => l.channel === which) ? 'both' : which);
        until.current = toMs ?? null;
        seek(fromMs);
        void start();
      },
      toggle: () => {
        until.current = null;
        if (playing) pause();
        else void start();
      },
    }),
    [legs, playing, seek, start, pause],
  );

  useEffect(() => {
    for (const leg of legs) {
      const el = media.current[leg.channel];
      if (el == null) continue;
      el.muted = channel !== 'both' && channel !== leg.channel;
      el.playbackRate = speed;
    }
  }, [channel, speed, legs, ticket]);

  // One animation loop is the clock of the page while playing.
  useEffect(() => {
    onTime(at, playing);
    if (!playing) return;
    const frame = requestAnimationFrame(() => {
      const [lead, ...others] = elements();
      if (lead === undefined) return;
      for (const el of others) {
        if (Math.abs(el.currentTime - lead.currentTime) > DRIFT_S && !el.ended) el.currentTime = lead.currentTime;
      }
      const ms = lead.currentTime * 1000;
      if (until.current !== null && ms >= until.current) {
        until.current = null;
        pause();
      } else if (elements().every((el) => el.ended)) pause();
      setAt(ms);
    });
    return () => cancelAnimationFrame(frame);
  }, [at, playing, onTime, elements, pause]);

  const onMediaError = (): void => {
    // Tickets are short-lived: one new try with a new one, at the same place.
    if (ticket === null || Date.now() - renewed.current < 5000) {
      setFailed(true);
      return;
    }
    renewed.current = Date.now();
    resumeAt.current = { ms: at, play: playing };
    void renew();
  };
  const onLoaded = (el: HTMLAudioElement): void => {
    el.playbackRate = speed;
    const from = resumeAt.current;
    if (from === null) return;
    el.currentTime = from.ms / 1000;
    if (from.play) void el.play();
  };

  return (
    <section
      class="player"
      aria-label={t('page.audio')}
      data-testid="audio-player"
      data-playing={String(playing)}
      data-position-ms={Math.round(at)}
      data-channel={channel}
    >
      <div class="controls">
        <button
          type="button"
          class="primary round"
          data-testid="play"
          aria-label={t(playing ? 'page.pause' : 'page.play')}
          onClick={() => {
            until.current = null;
            if (playing) pause();
            else void start();
          }}
        >
          <Icon name={playing ? 'pause' : 'play'} />
        </button>
        <span class="num">
          {clock(at)} <span class="dim">/ {clock(total)}</span>
        </span>
        <span class="grow" />
        <fieldset class="segmented">
          <legend class="sr-only">{t('page.channel')}</legend>
          {(['both', ...legs.map((l) => l.channel)] as const).map((c) => (
            <button
              key={c}
              type="button"
              aria-pressed={channel === c}
              data-testid={`channel-${c}`}
              onClick={() => setChannel(c)}
            >
              {t(`channel.${c}`)}
            </button>
          ))}
        </fieldset>
        <button
          type="button"
          class="quiet num"
          aria-label={`${t('page.speed')} ${speed}×`}
          onClick={() => setSpeed(SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length] ?? 1)}
        >
          {speed}×
        </button>
      </div>
      {failed && (
        <p class="form-error" role="alert">
          {t('page.audio.failed')}
        </p>
      )}
      <div class="waves">
        {legs.map((leg) => (
          <div
            key={leg.channel}
            class={`wave ${leg.channel}${channel !== 'both' && channel !== leg.channel ? ' muted' : ''}`}
          >
            <span class="wave-name">{t(`channel.${leg.channel}`)}</span>
            <Wave leg={leg} peaks={peaks[leg.channel] ?? []} at={at} total={total} />
            {ticket !== null && (
              // biome-ignore lint/a11y/useMediaCaption: the synced transcript beside it is the caption
              <audio
                key={ticket}
                ref={(el) => {
                  media.current[leg.channel] = el;
                }}
                preload="metadata"
                src={app.api.audioUrl(callId, leg.channel, ticket)}
                onError={onMediaError}
                onLoadedMetadata={(e) => onLoaded(e.currentTarget)}
              />
            )}
          </div>
        ))}
        <Lane
          state={state}
          total={total}
          onSeek={(ms) => {
            until.current = null;
            seek(ms);
          }}
        />
        <input
          class="scrub"
          type="range"
          min={0}
          max={total}
          step={100}
          value={at}
          aria-label={t('page.position')}
          aria-valuetext={clock(at)}
          data-testid="scrub"
          onInput={(e) => {
            until.current = null;
            seek(Number(e.currentTarget.value));
          }}
        />
        <div class="playhead" style={{ '--at': String(at / total) }} aria-hidden="true" />
      </div>
    </section>
  );
}

function Wave({ leg, peaks, at, total }: { leg: Leg; peaks: readonly number[]; at: number; total: number }) {
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

function Lane({ state, total, onSeek }: { state: CallState; total: number; onSeek: (ms: number) => void }) {
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
    </p>
  );
}
