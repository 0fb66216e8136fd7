// A few line icons, drawn here so that nothing is fetched. Decorative: the words beside them carry the meaning.
const PATHS = {
  check: 'M3.5 8.5l3 3 6-7',
  copy: 'M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8z',
  edit: 'M10.500 3l2.500 2.500-7.500 7.500H3v-2.500z',
  x: 'M4 4l8 8M12 4l-8 8',
  down: 'M4 6l4 4 4-4',
  left: 'M10 4l-4 4 4 4',
  right: 'M6 4l4 4-4 4',
  table: 'M2.500 3.500h11v9h-11zM2.500 6.500h11M6.500 6.500v6',
  search: 'M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.500 10.500l3 3',
  alert: 'M8 2.500l6 11H2zM8 6.500v3M8 11.500v.1',
  bell: 'M8 2.500a3.500 3.500 0 0 0-3.500 3.500v3L3 11.500h10L11.500 9V6A3.500 3.500 0 0 0 8 2.500zM6.500 13.500h3',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.500v3.500M8 5v.1',
  book: 'M3 3.500c2-.8 3.500-.5 5 .5 1.500-1 3-1.300 5-.5v9c-2-.8-3.500-.5-5 .5-1.500-1-3-1.300-5-.5zM8 4v9',
  play: 'M5 3.500l8 4.500-8 4.500z',
  pause: 'M5.500 3.500v9M10.500 3.500v9',
  phone:
    'M3 3.500l2-1 1.500 3-1.200 1.200c.7 1.500 1.600 2.400 3 3.100L9.500 8.500l3 1.500-1 2c-.6.8-1.500.8-2.500.4C6 11.200 4 9 3 6.200c-.4-1-.5-2 0-2.700z',
  microphone: 'M8 2a2 2 0 0 1 2 2v3.500a2 2 0 0 1-4 0V4a2 2 0 0 1 2-2zM3.500 7.500a4.500 4.500 0 0 0 9 0M8 12v2.300',
  keyboard: 'M2 4.500h12v7H2zM4.500 7h.1M7 7h.1M9.500 7h.1M12 7h.1M5 9.300h6',
  upload: 'M8 10.500v-8M4.800 5.500L8 2.300l3.200 3.200M2.500 10.500v3h11v-3',
  whisper: 'M2.500 3h11v7.500h-6L4.500 13v-2.500h-2zM5 5.800h6M5 7.800h4',
  history: 'M8 4.500V8l2.500 1.500M2.800 6.500A5.500 5.500 0 1 1 2.500 9M2.500 3.500v3h3',
  plus: 'M8 3.500v9M3.500 8h9',
  theme: 'M8 2.500a5.500 5.500 0 1 0 0 11zM8 2.500a5.500 5.500 0 0 1 0 11',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
