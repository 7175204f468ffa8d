import type { Random } from './random.ts';

export type ContentType = 'podcast' | 'newsletter' | 'video';
export type Content = {
  readonly id: string;
  readonly slug: string;
  readonly title: string;
  readonly type: ContentType;
  /** A newsletter has none. */
  readonly lengthSeconds: number | undefined;
};

/** What a publisher has on its shelves: the same content for the same seed. */
export function makeContent(random: Random, count: number): Content[] {
  return Array.from({ length: count }, (_, number) => {
    const type = random.pick(['podcast', 'podcast', 'video', 'video', 'newsletter'] as const);
    const title = titleOf(random, type, number + 1);
    const lengthSeconds = type === 'newsletter' ? undefined : type === 'podcast' ? 900 + random.below(4_500) : 60 + random.below(1_740);
    return { id: random.uuid(), slug: `${slugOf(title)}-${number + 1}`, title, type, lengthSeconds };
  });
}

/** `number` is the episode or issue. */
export function titleOf(random: Random, type: ContentType, number: number): string {
  const subject = random.pick(subjects);
  switch (type) {
    case 'podcast':
      return `${random.pick(shows)} #${number}: ${random.pick(openings)} ${subject}`;
    case 'newsletter':
      return `${random.pick(letters)} ${number}: ${random.pick(openings)} ${subject}`;
    case 'video':
      return `${random.pick(verbs)} ${subject} ${random.pick(endings)}`;
  }
}

export function postTitle(random: Random): string {
  return `${random.pick(openings)} ${random.pick(subjects)} ${random.pick(endings)}`;
}

function slugOf(title: string): string {
  return title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');
}

export const devices = ['ios', 'ios', 'ios', 'android', 'android', 'web-chrome', 'web-chrome', 'web-safari', 'web-firefox', 'smart-tv', 'car', 'speaker'];
export const referrers = ['https://news.ycombinator.com/', 'https://www.google.com/', 'https://lobste.rs/', 'https://duckduckgo.com/', 'newsletter', 'rss', undefined, undefined];
export const authors = ['Amara Okafor', 'Jonas Weber', 'Priya Raman', 'Lucía Ferrer', 'Sam Whitfield', 'Mei Tanaka', 'Ola Lindqvist'];

const shows = ['Night Shift', 'The Long Table', 'Signal and Noise', 'Second Draft', 'Field Notes', 'Open Loop', 'Kitchen Radio', 'Slow News'];
const letters = ['Monday Memo', 'The Margin', 'Five Good Things', 'Postcard', 'The Digest', 'Small Print'];
const openings = ['Inside', 'The truth about', 'What nobody tells you about', 'A short history of', 'Why we still need', 'The end of', 'Rethinking', 'Notes on'];
const subjects = ['sourdough', 'city trains', 'remote work', 'deep sea cables', 'night skies', 'index funds', 'old maps', 'jazz in Lagos', 'electric ferries', 'community gardens', 'chess engines', 'glacier melt', 'type design', 'tiny houses', 'volcano tourism', 'rare bees', 'street food', 'public libraries', 'long-distance running', 'weather forecasts'];
const verbs = ['How to understand', 'We tried', 'A week with', 'Explained:', 'Fixing', 'The beauty of', 'Ranking'];
const endings = ['in ten minutes', 'for beginners', 'the hard way', 'on a budget', 'from scratch', 'without regret', 'after dark'];
