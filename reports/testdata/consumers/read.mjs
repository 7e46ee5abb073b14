// Tells what others' own libraries read of our reports: a list of {tap, ctrf, badge} on
// standard input, as texts, makes a list of what came of each.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const from = createRequire(process.argv[2] + '/package.json');
const load = async name => import(pathToFileURL(from.resolve(name)));
const { Parser } = await load('tap-parser');
const { makeBadge } = from('badge-maker');
const ctrf = await load('ctrf');

function readTAP(text) {
  const points = [], odd = [], comments = [];
  const parser = new Parser({ strict: true }, results => (points.ok = results.ok));
  parser.on('assert', p => points.push({ ok: p.ok, name: p.name, skip: p.skip ?? false, todo: p.todo ?? false, severity: p.diag?.severity ?? '' }));
  parser.on('extra', line => odd.push(line));
  parser.on('comment', line => comments.push(line));
  parser.on('bailout', line => odd.push(line));
  parser.end(text);
  return { ok: points.ok, points, odd, comments: comments.length };
}

function readBadge(text) {
  const { label, message, color } = JSON.parse(text);
  return makeBadge({ label, message, color });
}

const jobs = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(jobs.map(job => ({
  tap: readTAP(job.tap),
  ctrf: ctrf.validate(ctrf.parse(job.ctrf)).errors ?? [],
  badge: readBadge(job.badge),
}))));
