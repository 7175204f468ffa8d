import { duration, number, time } from './format.ts';
import { useNow } from './now.ts';
import type { PipelineStatus } from './protocol.ts';
import { Sparkline } from './sparkline.tsx';

/** The figures by which one sees that a pipeline is well. */
export function Vitals({ status }: { readonly status: PipelineStatus }) {
  const { eventsPerSecond, watermark, openWindows, name } = status;
  const now = useNow(1_000);
  const open = openWindows.reduce((sum, { count }) => sum + count, 0);
  const nextEnd = openWindows.map((each) => each.nextEnd).sort()[0];
  return (
    <dl class="vitals">
      <div class="rate">
        <dt>Events per second</dt>
        <dd>{number(eventsPerSecond)}</dd>
        <Sparkline key={name} value={eventsPerSecond} label={`Events per second of ${name}, last two minutes`} />
      </div>
      <div>
        <dt>Watermark</dt>
        <dd>{watermark === null ? '–' : time(watermark)}</dd>
        <dd class="note">
          {watermark === null ? 'no events yet' : `${duration(now - Date.parse(watermark))} behind now`}
        </dd>
      </div>
      <div>
        <dt>Open windows</dt>
        <dd>{watermark === null ? '–' : open}</dd>
        <dd class="note">{nextEnd === undefined ? 'none' : `next ends ${time(nextEnd)}`}</dd>
      </div>
    </dl>
  );
}
