// Charts as inline SVG, each with the table of its numbers one click away.
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { useApp } from '../ui/app.ts';
import { Link } from '../ui/Shell.tsx';
import { top } from './figures.ts';

export interface Bar {
  label: string;
  value: number;
  /** A darker part of the bar, such as those with high risk. */
  part?: number;
  to?: string;
}

interface Props {
  title: string;
  unit: string;
  bars: readonly Bar[];
  empty: string;
  partName?: string;
  testid: string;
  note?: ComponentChildren;
}

const WIDTH = 560;
const HEIGHT = 150;
const LEFT = 40;
const BOTTOM = 20;

export function BarChart({ title, unit, bars, empty, partName, testid, note }: Props) {
  const t = useApp().t.value;
  const [table, setTable] = useState(false);
  const id = useId();
  const most = Math.max(0, ...bars.map((b) => b.value));
  return (
    <section class="panel chart" aria-labelledby={id} data-testid={testid}>
      <header>
        <h2 id={id}>
          {title} <span class="dim">（{unit}）</span>
        </h2>
        <span class="grow" />
        <button type="button" class="quiet small" aria-pressed={table} onClick={() => setTable(!table)}>
          {t(table ? 'chart.chart' : 'chart.table')}
        </button>
      </header>
      {note}
      {most === 0 ? (
        <p class="empty">{empty}</p>
      ) : table ? (
        <ChartTable bars={bars} unit={unit} {...(partName === undefined ? {} : { partName })} />
      ) : (
        <Bars bars={bars} limit={top(most)} unit={unit} />
      )}
    </section>
  );
}

function Bars({ bars, limit, unit }: { bars: readonly Bar[]; limit: number; unit: string }) {
  const app = useApp();
  const step = (WIDTH - LEFT) / bars.length;
  const width = Math.max(2, Math.min(46, step * 0.7));
  const y = (value: number): number => (HEIGHT - BOTTOM) * (1 - value / limit) + 6;
  const every = Math.ceil(bars.length / 8);
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT + 8}`}
      role="img"
      aria-label={bars.map((b) => `${b.label} ${b.value}`).join(', ')}
    >
      {[0, limit / 2, limit].map((value) => (
        <g key={value}>
          <line class="axis" x1={LEFT} x2={WIDTH} y1={y(value)} y2={y(value)} />
          <text class="tick" x={LEFT - 6} y={y(value) + 4} text-anchor="end">
            {value}
          </text>
        </g>
      ))}
      {bars.map((b, i) => {
        const x = LEFT + i * step + (step - width) / 2;
        const shape = (
          <g class="bar-group">
            <title>{`${b.label} ${b.value} ${unit}`}</title>
            <rect class="bar-hit" x={LEFT + i * step} y={0} width={step} height={HEIGHT - BOTTOM + 6} />
            <rect class="bar" x={x} y={y(b.value)} width={width} height={y(0) - y(b.value)} rx={2} />
            {b.part !== undefined && b.part > 0 && (
              <rect class="bar-part" x={x} y={y(b.part)} width={width} height={y(0) - y(b.part)} />
            )}
            {i % every === 0 && (
              <text class="tick" x={x + width / 2} y={HEIGHT + 4} text-anchor="middle">
                {b.label}
              </text>
            )}
          </g>
        );
        return b.to === undefined ? (
          <g key={b.label}>{shape}</g>
        ) : (
          <a
            key={b.label}
            href={b.to}
            aria-label={`${b.label} ${b.value} ${unit}`}
            onClick={(e) => {
              if (e.metaKey || e.ctrlKey || e.shiftKey) return;
              e.preventDefault();
              app.go(b.to as string);
            }}
          >
            {shape}
          </a>
        );
      })}
    </svg>
  );
}

function ChartTable({ bars, unit, partName }: { bars: readonly Bar[]; unit: string; partName?: string }) {
  return (
    <table class="chart-table">
      <tbody>
        {bars.map((b) => (
          <tr key={b.label}>
            <th scope="row">{b.to === undefined ? b.label : <Link to={b.to}>{b.label}</Link>}</th>
            <td class="num right">
              {b.value} {unit}
            </td>
            {partName !== undefined && (
              <td class="num right dim">
                {partName} {b.part ?? 0}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
