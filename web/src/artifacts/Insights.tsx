// What the call was about and how it felt, at a glance: terms and mood. Every point leads to the words it rests on.
import type { CallState } from '../core/callstate.ts';
import { clock, percent } from '../core/format.ts';
import type { Artifact, Keywords, MoodReport } from '../gen/types.ts';
import { useApp } from '../ui/app.ts';

interface Props {
  state: CallState;
  artifacts: readonly Artifact[];
  onUtterance: (utteranceId: string) => void;
}

export function Insights({ state, artifacts, onUtterance }: Props) {
  const t = useApp().t.value;
  const mood = artifacts.find((a) => a.kind === 'mood')?.body as MoodReport | undefined;
  const keywords = artifacts.find((a) => a.kind === 'keywords')?.body as Keywords | undefined;
  if (mood === undefined && keywords === undefined) return null;
  return (
    <section class="insights" aria-label={t('insights.title')} data-testid="insights">
      {keywords !== undefined && keywords.terms.length > 0 && (
        <div>
          <h3>{t('artifact.keywords')}</h3>
          <p class="chips">
            {keywords.terms.map((k) => (
              <button
                key={k.term}
                type="button"
                class="chip"
                title={t('insights.said', { n: k.count })}
                onClick={() => k.utterance_ids[0] !== undefined && onUtterance(k.utterance_ids[0])}
              >
                {k.term} <span class="num dim">{k.count}</span>
              </button>
            ))}
          </p>
        </div>
      )}
      {mood !== undefined && <Mood mood={mood} total={state.call.duration_ms} onUtterance={onUtterance} />}
    </section>
  );
}

function Mood({ mood, total, onUtterance }: { mood: MoodReport; total: number; onUtterance: (id: string) => void }) {
  const app = useApp();
  const t = app.t.value;
  const share = (ms: number): string => (total > 0 ? percent(Math.min(1, ms / total)) : '–');
  return (
    <div>
      <h3>{t('artifact.mood')}</h3>
      <dl class="facts">
        <dt>{t('mood.trend')}</dt>
        <dd>{t(`mood.trend.${mood.trend}`)}</dd>
        <dt>{t('mood.risk')}</dt>
        <dd class="num">
          {percent(mood.complaint_risk)}{' '}
          {mood.risk_evidence.map((id) => (
            <button key={id} type="button" class="ref" onClick={() => onUtterance(id)}>
              {t('summary.jump')}
            </button>
          ))}
        </dd>
        {mood.pace.map((p) => (
          <>
            <dt>{t('mood.pace', { who: t(`channel.${p.channel}`) })}</dt>
            <dd class="num">
              {share(p.speech_ms)}
              {p.units_per_minute > 0 && ` · ${t('mood.rate', { n: p.units_per_minute })}`}
            </dd>
          </>
        ))}
        <dt>{t('mood.silence')}</dt>
        <dd class="num">
          {clock(mood.silence_ms)}
          {mood.longest_silence_ms > 0 &&
            ` · ${t('mood.longest', { s: Math.round(mood.longest_silence_ms / 1000), at: clock(mood.longest_silence_at_ms) })}`}
        </dd>
        <dt>{t('mood.overtalk')}</dt>
        <dd class="num">{clock(mood.overtalk_ms)}</dd>
      </dl>
      {mood.points.length > 0 && (
        <p class="chips">
          {mood.points.map((p) => (
            <button key={p.utterance_id} type="button" class="chip" onClick={() => onUtterance(p.utterance_id)}>
              <span class="num dim">{clock(p.at_ms)}</span> {t(`mood.is.${p.mood}`)}
            </button>
          ))}
        </p>
      )}
      <p class="dim small">{t('mood.note')}</p>
    </div>
  );
}
