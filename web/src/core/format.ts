// Times and numbers as people read them. Pure: the moment is always given.

/** 201000 → 03:21; from an hour on 1:03:21. */
export function clock(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const s = String(total % 60).padStart(2, '0');
  const m = Math.floor(total / 60) % 60;
  const h = Math.floor(total / 3600);
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${s}` : `${String(m).padStart(2, '0')}:${s}`;
}

export function percent(value: number): string {
  return `${Math.round(value * 100)}%`;
}

/** Local date and time to the minute; today's calls show the time alone. */
export function moment(iso: string | null, language: string, now: Date): string {
  if (iso === null) return '';
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return '';
  const sameDay = at.toDateString() === now.toDateString();
  const locale = language === 'zh' ? 'zh-CN' : 'en-GB';
  return new Intl.DateTimeFormat(locale, {
    ...(sameDay
      ? {}
      : { month: '2-digit', day: '2-digit', ...(at.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' }) }),
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  }).format(at);
}

/** A score without a false decimal. */
export function score(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
