// Playback of a recording: the listening copy, one stereo file, or while there is none a media element a leg, of which the second follows
// the first. Masked, unless the agent of the call asks for the original.

import type { RefObject } from 'preact';
import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { CallState } from '../core/callstate.ts';
import { clock } from '../core/format.ts';
import type { Channel } from '../core/protocol.ts';
import { SideSwitch } from '../core/stereo.ts';
import { hiddenOn, sideOf, sourceOf, tracksOf } from '../core/tracks.ts';
import type { Recording } from '../net/api.ts';
import { mayRerun, useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Lane, Wave } from './Waves.tsx';

export interface PlayerHandle {
  /** Plays [fromMs, toMs) of a channel ('both' for all), then stops; without ``toMs`` plays on. */
  play: (fromMs: number, toMs?: number, channel?: Channel | 'both') => void;
  toggle: () => void;
  /** Stands there, silent if it was. */
  seek: (ms: number) => void;
}

interface Props {
  callId: string;
  recording: Recording;
  state: CallState;
  /** A file could not be loaded: what is there may have changed. */
  onLost: () => void;
  /** Has the listening copy made once more. */
  onRerun: () => void;
  onTime: (ms: number, playing: boolean) => void;
  /** How the page starts and stops playback. */
  handle: RefObject<PlayerHandle | null>;
}

const BUCKETS = 800;
/** Legs further apart than this are brought together again. */
const DRIFT_S = 0.08;
const SPEEDS = [1, 1.25, 1.5, 2];

export function Player({ callId, recording, state, onTime, onLost, onRerun, handle }: Props) {
  const app = useApp();
  const t = app.t.value;
  const [channel, setChannel] = useState<Channel | 'both'>('both');
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  const [speed, setSpeed] = useState(1);
  const [failed, setFailed] = useState(false);
  const [peaks, setPeaks] = useState<Partial<Record<Channel, number[]>>>({});
  const [ticket, setTicket] = useState<string | null>(null);
  const [original, setOriginal] = useState(false);
  const { legs } = recording;
  const tracks = useMemo(() => tracksOf(recording, original), [recording, original]);
  const media = useRef(new Map<string, HTMLAudioElement>());
  const sides = useRef<{ element: HTMLAudioElement; context: AudioContext; side: SideSwitch } | null>(null);
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
    (): HTMLAudioElement[] => tracks.map((track) => media.current.get(track.key)).filter((el) => el !== undefined),
    [tracks],
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
      await sides.current?.context.resume();
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
      seek,
    }),
    [legs, playing, seek, start, pause],
  );

  const files = tracks.map((track) => track.key).join(' ');
  // Another file takes over where this one is.
  const now = useRef({ at, playing });
  now.current = { at, playing };
  // The files themselves are what changes.
  useLayoutEffect(() => {
    if (now.current.at > 0) resumeAt.current = { ms: now.current.at, play: now.current.playing };
  }, [files]);

  // A new ticket means new elements.
  useEffect(() => {
    for (const track of tracks) {
      const el = media.current.get(track.key);
      if (el === undefined) continue;
      el.playbackRate = speed;
      if (track.leg !== null) el.muted = channel !== 'both' && channel !== track.leg;
      else hearSide(el);
    }
  }, [channel, speed, tracks, ticket]);
  useEffect(() => () => void sides.current?.context.close(), []);

  const hearSide = (el: HTMLAudioElement): void => {
    const side = sideOf(recording, channel);
    if (sides.current?.element !== el) {
      // The file's own sides need no mixer, and a context that nobody asked for may not sound.
      if (side === 'both') return;
      const context = sides.current?.context ?? new AudioContext();
      sides.current = { element: el, context, side: new SideSwitch(context, el) };
    }
    sides.current.side.set(side);
    if (playing) void sides.current.context.resume();
  };

  useEffect(() => onTime(at, playing), [at, playing, onTime]);
  // One animation loop is the clock of the page while playing.
  useEffect(() => {
    if (!playing) return;
    let frame = 0;
    const tick = (): void => {
      frame = requestAnimationFrame(tick);
      const [lead, ...others] = elements();
      // A file that is still to be loaded has no time yet.
      if (lead === undefined || lead.readyState === HTMLMediaElement.HAVE_NOTHING) return;
      for (const el of others) {
        if (Math.abs(el.currentTime - lead.currentTime) > DRIFT_S && !el.ended) el.currentTime = lead.currentTime;
      }
      const ms = lead.currentTime * 1000;
      if (until.current !== null && ms >= until.current) {
        until.current = null;
        pause();
      } else if (elements().every((el) => el.ended)) pause();
      setAt(ms);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [playing, elements, pause]);

  const onMediaError = (): void => {
    // Tickets are short-lived: one new try with a new one, at the same place.
    if (ticket === null || Date.now() - renewed.current < 5000) {
      setFailed(true);
      return;
    }
    renewed.current = Date.now();
    resumeAt.current = { ms: at, play: playing };
    onLost();
    void renew();
  };
  const onLoaded = (el: HTMLAudioElement): void => {
    el.playbackRate = speed;
    const from = resumeAt.current;
    if (from === null) return;
    el.currentTime = from.ms / 1000;
    if (from.play) el.play().catch(() => setPlaying(false));
  };

  return (
    <section
      class="player"
      aria-label={t('page.audio')}
      data-testid="audio-player"
      data-playing={String(playing)}
      data-position-ms={Math.round(at)}
      data-channel={channel}
      data-source={sourceOf(recording)}
      data-masked={String(!original)}
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
      <p class="source dim" data-testid="audio-source">
        <strong>{t(original ? 'page.source.original' : 'page.source.masked')}</strong>
        <span>
          {recording.copy !== null
            ? t('page.source.copy')
            : t('recording' in state.failed ? 'page.source.failed' : 'page.source.pending')}
        </span>
        {recording.copy === null && 'recording' in state.failed && mayRerun(app.session.value?.user.roles ?? []) && (
          <button type="button" class="small" data-testid="rerun-recording" onClick={onRerun}>
            {t('acw.rerun')}
          </button>
        )}
        {recording.copy?.complete === false && <span>{t('page.source.incomplete')}</span>}
        {recording.may_hear_original && (
          <button
            type="button"
            class="small"
            data-testid="original"
            aria-pressed={original}
            onClick={() => setOriginal(!original)}
          >
            {t(original ? 'page.hear.masked' : 'page.hear.original')}
          </button>
        )}
      </p>
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
            <Wave
              leg={leg}
              peaks={peaks[leg.channel] ?? []}
              hidden={original ? [] : hiddenOn(recording, leg.channel)}
              at={at}
              total={total}
            />
          </div>
        ))}
        {ticket !== null &&
          tracks.map(({ key, leg, version }) => (
            // biome-ignore lint/a11y/useMediaCaption: the synced transcript beside it is the caption
            <audio
              key={`${ticket}/${key}`}
              ref={(el) => {
                if (el === null) media.current.delete(key);
                else media.current.set(key, el);
              }}
              preload="metadata"
              src={
                leg === null
                  ? app.api.copyUrl(callId, version, ticket, original)
                  : app.api.legUrl(callId, leg, ticket, original)
              }
              onError={onMediaError}
              onLoadedMetadata={(e) => onLoaded(e.currentTarget)}
            />
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
