import { DidNotStrike, type Fault } from '../fault.ts';
import { insertLaboratory, laboratoryChanges } from '../laboratory/tables.ts';

const values: Fault = {
  name: 'data/values',
  what: 'Rows with NaN, infinities and 1,000 digits, times without end and before Christ, numbers in JSON beyond 2^53, enums, domains, arrays, ranges, generated columns, names that must be quoted and of 63 bytes, in a partitioned table, are written, changed, moved and deleted.',
  expected: 'Every sink has what SQL says, to the last digit; ClickHouse holds times from 1900 to 2299 only.',
  drawn: true,
  unfit: ({ name }) => (name === 'laboratory' ? undefined : 'Only --pipeline laboratory has such columns.'),
  async strike(world, random) {
    const client = await world.source.connect();
    try {
      const salt = random.below(10_000);
      await client.query('begin');
      await client.query(insertLaboratory, [2_000, salt]);
      for (const change of laboratoryChanges) await client.query(change, [salt]);
      const { rows: [seen] } = await client.query<Record<string, string>>(
        `select count(*) filter (where digits = 'NaN') as nans, count(*) filter (where length(digits::text) >= 1000) as "long numbers", count(*) filter (where not isfinite("Event Time")) as "times without end",
                count(*) filter (where extract(year from naive) < 0) as "times before Christ", count(*) filter (where binary_json::text like '%9007199254740993%') as "large numbers in JSON",
                count(*) filter (where tags[1] is not null) as arrays, count(*) filter (where isempty(span)) as "empty ranges", count(distinct tableoid) as partitions
           from public."Laboratory"`,
      );
      await client.query('commit');
      client.release();
      const missing = Object.entries(seen!).filter(([, count]) => Number(count) === 0);
      if (missing.length > 0) throw new DidNotStrike(`There are no ${missing.map(([what]) => what).join(', ')}.`);
      return { evidence: Object.entries(seen!).map(([what, count]) => `${count} ${what}`).join(', ') };
    } catch (error) {
      client.release(true);
      throw error;
    }
  },
};

export const valueFaults: readonly Fault[] = [values];
