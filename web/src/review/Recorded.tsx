// The recording and the transcript of a call in step, for pages that judge it.
import type { RefObject } from 'preact';
import { useCallback, useEffect, useImperativeHandle, useMemo, useRef, useState } from 'preact/hooks';
import { spokenAt } from '../core/audio.ts';
import type { Evidence } from '../gen/types.ts';
import type { Recording } from '../net/api.ts';
import { CallModel } from '../supervisor/callmodel.ts';
import { Player, type PlayerHandle } from '../supervisor/Player.tsx';
import { Legend } from '../supervisor/Waves.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Skeleton } from '../ui/Shell.tsx';
import { jumpTo, Transcript } from '../ui/Transcript.tsx';

export interface RecordedHandle {
  play: (evidence: Evidence) => void;
}

export function Recorded({ callId, handle }: { callId: string; handle: RefObject<RecordedHandle | null> }) {
  const app = useApp();
  const t = app.t.value;
  const model = useMemo(() => new CallModel(app, callId), [app, callId]);
  const player = useRef<PlayerHandle>(null);
  const [recording, setRecording] = useState<Recording | null>(null);
  const [heard, setHeard] = useState<string | null>(null);
  const [pointed, setPointed] = useState<string | null>(null);
  const read = useCallback((): void => {
    app.api
      .recording(callId)
      .then(setRecording)
      .catch(() => setRecording({ legs: [], copy: null, may_hear_original: false }));
  }, [app, callId]);
  useEffect(() => {
    void model.start();
    read();
    return () => model.stop();
  }, [model, read]);
  useImperativeHandle(
    handle,
    () => ({
      play: (e) => {
        setPointed(e.utterance_id);
        jumpTo(e.utterance_id);
        player.current?.play(e.start_ms, e.end_ms, e.channel === 'mixed' ? 'both' : e.channel);
      },
    }),
    [],
  );
  const state = model.state.value;
  const utterances = state?.utterances ?? [];
  const onTime = useCallback(
    (ms: number, playing: boolean): void => {
      const now = spokenAt(utterances, ms);
      setHeard((before) => (now === null && playing ? before : now));
      if (playing) setPointed(null);
    },
    [utterances],
  );
  if (state === null) {
    return model.error.value === null ? (
      <Skeleton lines={12} />
    ) : (
      <ErrorBox error={model.error.value} onRetry={() => void model.start()} />
    );
  }
  const recorded = (recording?.legs.length ?? 0) > 0;
  return (
    <div class="recorded">
      {recording !== null && recorded && (
        <div class="player-card">
          <Player
            handle={player}
            callId={callId}
            recording={recording}
            state={state}
            onTime={onTime}
            onLost={read}
            onRerun={() => void model.rerun('recording')}
          />
          <Legend />
        </div>
      )}
      {recording !== null && !recorded && <p class="empty">{t('page.audio.none')}</p>}
      <section class="talk-column" aria-label={t('page.transcript')}>
        <header class="talk-head">
          <h2>{t('page.transcript')}</h2>
        </header>
        <Transcript
          state={state}
          active={pointed ?? heard}
          follow="active"
          {...(recorded ? { onSeek: (u) => player.current?.play(u.start_ms) } : {})}
        />
      </section>
    </div>
  );
}
