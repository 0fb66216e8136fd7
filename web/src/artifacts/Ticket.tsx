// What the ticket says: category, root cause, facts, measures, and what else it might have been.
import type { CallState } from '../core/callstate.ts';
import { percent } from '../core/format.ts';
import type { TicketClassification } from '../gen/types.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Rich } from '../ui/Rich.tsx';
import { Refs } from './Refs.tsx';

export function TicketView({
  body,
  state,
  onUtterance,
}: {
  body: TicketClassification;
  state: CallState;
  onUtterance: (utteranceId: string) => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const name = `${app.categoryName(body.level1)} / ${app.categoryName(body.level2)}`;
  return (
    <div class="ticket">
      <p class="category" data-testid="ticket-category" data-level1={body.level1} data-level2={body.level2}>
        <span>{app.categoryName(body.level1)}</span>
        <Icon name="right" size={14} />
        <strong>{app.categoryName(body.level2)}</strong>
        <span class="dim num">{t('ticket.confidence', { p: percent(body.confidence) })}</span>
      </p>
      {body.evidence.length > 0 && (
        <p>
          <span class="dim">{t('ticket.evidence')} </span>
          <Refs ids={body.evidence} state={state} onUtterance={onUtterance} />
        </p>
      )}
      {body.cause !== '' && (
        <p data-testid="ticket-cause">
          <span class="dim">{t('ticket.cause')} </span>
          {app.labels.value.causes[body.cause] ?? body.cause}{' '}
          <Refs ids={body.cause_evidence} state={state} onUtterance={onUtterance} />
        </p>
      )}
      {body.slots.length > 0 && (
        <div class="statements">
          <h4>{t('ticket.slots')}</h4>
          <dl class="ticket-slots" data-testid="ticket-slots">
            {body.slots.map((slot) => (
              <div key={`${slot.name} ${slot.value}`}>
                <dt class="dim">{app.word(`slot.${slot.name}`, slot.name)}</dt>
                <dd>
                  <Rich text={slot.value} secrets={state.secrets} />{' '}
                  <Refs ids={[slot.utterance_id]} state={state} onUtterance={onUtterance} />
                </dd>
              </div>
            ))}
          </dl>
        </div>
      )}
      {body.measures.length > 0 && (
        <div class="statements">
          <h4>{t('ticket.measures')}</h4>
          <ul>
            {body.measures.map((m) => (
              <li key={m}>{m}</li>
            ))}
          </ul>
        </div>
      )}
      {body.alternatives.length > 0 && (
        <div class="statements">
          <h4>{t('ticket.alternatives')}</h4>
          <ul class="alternatives">
            {body.alternatives.map((a) => (
              <li key={`${a.level1}/${a.level2}`}>
                {app.categoryName(a.level1)} / {app.categoryName(a.level2)}{' '}
                <span class="dim num">{percent(a.confidence)}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
      <footer>
        <span class="dim" />
        <button type="button" class="small" onClick={() => void app.copy(name)}>
          <Icon name="copy" size={14} /> {t('common.copy')}
        </button>
      </footer>
    </div>
  );
}
