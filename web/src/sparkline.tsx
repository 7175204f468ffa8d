import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

type Props = { readonly value: number; readonly label: string };

const everyMs = 1_000;
const points = 120;

/** The last two minutes of a figure, sampled each second, whether or not it changes. */
export function Sparkline({ value, label }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const newest = useRef(value);
  newest.current = value;

  useEffect(() => {
    const values: (number | null)[] = Array.from({ length: points }, () => null);
    const seconds = Array.from({ length: points }, (_, index) => index);
    let plot = draw(box.current!, [seconds, values]);
    const sample = () => {
      values.push(newest.current);
      values.shift();
      plot.setData([seconds, values]);
    };
    sample();
    const timer = setInterval(sample, everyMs);
    const resized = new ResizeObserver(() => plot.setSize(sizeOf(box.current!)));
    resized.observe(box.current!);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const redraw = () => {
      plot.destroy();
      plot = draw(box.current!, [seconds, values]);
    };
    scheme.addEventListener('change', redraw);
    return () => {
      clearInterval(timer);
      resized.disconnect();
      scheme.removeEventListener('change', redraw);
      plot.destroy();
    };
  }, []);
  return (
    <dd class="sparkline">
      <div ref={box} role="img" aria-label={label} />
    </dd>
  );
}

function draw(box: HTMLElement, data: uPlot.AlignedData): uPlot {
  // resolved for the present colour scheme: rgb(r, g, b)
  const accent = getComputedStyle(box).color;
  const fill = (plot: uPlot) => {
    const shade = plot.ctx.createLinearGradient(0, 0, 0, plot.height * devicePixelRatio);
    shade.addColorStop(0, accent.replace(')', ' / 0.32)').replaceAll(',', ''));
    shade.addColorStop(1, accent.replace(')', ' / 0.02)').replaceAll(',', ''));
    return shade;
  };
  const options: uPlot.Options = {
    ...sizeOf(box),
    padding: [4, 0, 2, 0],
    cursor: { show: false },
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: { x: { time: false, range: [0, points - 1] }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    series: [{}, { stroke: accent, width: 1.5, fill, points: { show: false }, paths: uPlot.paths.spline!() }],
  };
  return new uPlot(options, data, box);
}

function sizeOf(box: HTMLElement): { width: number; height: number } {
  return { width: box.clientWidth, height: box.clientHeight };
}
