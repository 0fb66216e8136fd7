// What the person was told: a bell with the number of what is unread, and the list behind it.
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import { QaApi, type Told } from '../net/qa.ts';
import { useApp } from './app.ts';
import { Icon } from './icons.tsx';

const EVERY_MS = 30_000;

export function NoticeBell() {
  const app = useApp();
  const t = app.t.value;
  const qa = useMemo(() => new QaApi(app.api), [app]);
  const [told, setTold] = useState<{ notices: Told[]; unread: number }>({ notices: [], unread: 0 });
  const [open, setOpen] = useState(false);
  const read = useCallback(async (): Promise<void> => {
    // A list that cannot be read now is read at the next turn; it is not worth an error on every page.
    const found = await qa.notices().catch(() => null);
    if (found !== null) setTold(found);
  }, [qa]);
  useEffect(() => {
    void read();
    const timer = setInterval(() => {
      if (!document.hidden) void read();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [read]);
  const follow = async (notice: Told): Promise<void> => {
    setOpen(false);
    await qa.readNotices([notice.notice_id]).catch(() => undefined);
    void read();
    app.go(notice.target);
  };
  return (
    <div class="bell">
      <button
        type="button"
        class="quiet"
        aria-expanded={open}
        aria-label={t('notice.title', { n: told.unread })}
        title={t('notice.title', { n: told.unread })}
        data-testid="bell"
        data-unread={told.unread}
        onClick={() => {
          setOpen(!open);
          void read();
        }}
      >
        <Icon name="bell" />
        {told.unread > 0 && <span class="badge bad num">{told.unread > 99 ? '99+' : told.unread}</span>}
      </button>
      {open && (
        <section
          class="bell-list"
          aria-label={t('notice.list')}
          data-testid="notices"
          onKeyDown={(e) => {
            if (e.key === 'Escape') setOpen(false);
          }}
        >
          <header>
            <h2>{t('notice.list')}</h2>
            <button
              type="button"
              class="quiet small"
              disabled={told.unread === 0}
              onClick={async () => {
                await qa.readNotices().catch(() => undefined);
                void read();
              }}
            >
              {t('notice.all')}
            </button>
          </header>
          {told.notices.length === 0 ? (
            <p class="empty">{t('notice.none')}</p>
          ) : (
            <ul>
              {told.notices.map((n) => (
                <li key={n.notice_id}>
                  <button type="button" class={n.read ? 'read' : undefined} onClick={() => void follow(n)}>
                    {app.word(`notice.${n.kind}`, n.kind)}
                    <span class="dim num">{moment(n.at, app.language.value, new Date())}</span>
                  </button>
                </li>
              ))}
            </ul>
          )}
        </section>
      )}
    </div>
  );
}
