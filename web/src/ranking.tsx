import { useLayoutEffect, useRef } from 'preact/hooks';
import { number } from './format.ts';
import type { Board } from './protocol.ts';

/** Ten rows always, so that nothing below jumps. */
const places = 10;

/** A ranking as bars. The list is in the order of ranks for everybody; rows that change places glide there. */
export function Ranking({ board, label }: { readonly board: Board; readonly label: string }) {
  const { rows, measure } = board;
  const list = useGlidingRows();
  const greatest = Math.max(...rows.map(({ value }) => Number(value)), Number.MIN_VALUE);
  return (
    <ol class="ranking" ref={list} aria-label={label}>
      {rows.map(({ rank, key, label: name, value }) => (
        <li key={key} data-key={key}>
          <span
            class="bar"
            style={{ transform: `translateX(${100 * Math.max(0, Number(value) / greatest) - 100}%)` }}
          />
          <span class="rank">{rank}</span>
          <span class={name === null ? 'name bare' : 'name'} title={name ?? key}>
            {name ?? key}
          </span>
          <span class="value" title={`${value} ${measure}`}>
            {number(Number(value))}
          </span>
        </li>
      ))}
      {rows.length === 0 && <li class="vacant note">Nothing counted in this window</li>}
      {Array.from({ length: Math.max(0, places - Math.max(1, rows.length)) }, (_, index) => (
        <li key={`empty ${index}`} class="vacant" aria-hidden="true" />
      ))}
    </ol>
  );
}

/** Each row is drawn where it was and let go to where it is now. Interrupted glides go on from where they are. */
function useGlidingRows() {
  const list = useRef<HTMLOListElement>(null);
  const before = useRef(new Map<string, number>());
  useLayoutEffect(() => {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const now = new Map<string, number>();
    for (const row of list.current!.querySelectorAll<HTMLElement>('li[data-key]')) {
      const key = row.dataset['key']!;
      now.set(key, row.offsetTop);
      const from = before.current.get(key);
      if (calm || from === row.offsetTop) continue;
      const moved =
        from === undefined
          ? { opacity: 0, transform: 'none' }
          : { opacity: 1, transform: `translateY(${from - row.offsetTop}px)` };
      row.animate([moved, { opacity: 1, transform: 'none' }], {
        duration: 450,
        easing: 'cubic-bezier(0.2, 0.8, 0.2, 1)',
      });
    }
    before.current = now;
  });
  return list;
}
