extension StatusPage {
  static let style = """
    :root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--line:#d9dde3;--text:#1c2330;--dim:#576070;--good:#11703a;
    --warn:#8a5300;--bad:#b3192a;--badbg:#fdebec;--focus:#1d5fd1}
    @media(prefers-color-scheme:dark){:root{--bg:#11151c;--card:#191f29;--line:#323b4a;--text:#e5e9f0;--dim:#9aa5b5;
    --good:#63d08d;--warn:#f0b95a;--bad:#ff8f98;--badbg:#3a1c22;--focus:#7fb0ff}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--bg);color:var(--text);font:14px/1.45 system-ui,sans-serif}
    header{position:sticky;top:0;z-index:1;display:flex;gap:.4rem 1rem;align-items:center;flex-wrap:wrap;
    padding:.6rem 1.2rem;background:var(--card);border-bottom:1px solid var(--line)}
    h1{font-size:1.15rem;margin:0}
    h2{font-size:1rem;margin:1.6rem 0 .2rem}
    p{margin:0 0 .4rem;color:var(--dim)}
    header p{margin:0}
    #span{flex:1}
    main{max-width:1680px;margin:auto;padding:1rem 1.2rem 3rem}
    button{font:inherit;color:inherit;background:none;border:1px solid var(--dim);border-radius:6px;padding:.2rem .8rem;
    cursor:pointer}
    :focus-visible{outline:2px solid var(--focus);outline-offset:2px}
    ul{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,13rem),1fr));gap:.6rem;margin:0;padding:0}
    li{list-style:none;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.45rem .75rem}
    li>*{display:block}
    span{color:var(--dim);font-size:.8rem}
    b{font-weight:400;overflow-wrap:anywhere}
    #details{grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}
    [role=region]{overflow:auto;max-height:70vh;background:var(--card);border:1px solid var(--line);border-radius:8px}
    table{border-collapse:collapse;width:100%}
    th,td{padding:.3rem .75rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);
    white-space:nowrap;unicode-bidi:isolate}
    tbody tr:last-child>*{border-bottom:0}
    thead th{position:sticky;top:0;background:var(--card);color:var(--dim);font-size:.8rem;font-weight:500;
    box-shadow:inset 0 -1px var(--line);border:0}
    th[scope=row]{font-weight:600}
    #recent th{font-weight:400}
    #instances td:last-child,#faults tbody th{white-space:normal;overflow-wrap:anywhere;min-width:18rem}
    .n{text-align:right;font-variant-numeric:tabular-nums}
    .good{color:var(--good)}
    .warn{color:var(--warn)}
    .bad{color:var(--bad);font-weight:600}
    td.bad{background:var(--badbg)}
    @media(max-width:40rem){header,main{padding-left:.7rem;padding-right:.7rem}}
    """

  /// Makes what `StatusView` makes, from events. Texts become text nodes only.
  static let script = """
    'use strict';
    const RULES = `\(StatusRules.text)`.split('\\n'), ROWS = \(rowsMax), WINDOW = 10000;
    const byId = id => document.getElementById(id), list = x => Array.isArray(x) ? x : [];
    const get = (x, path) => path ? path.split('.').reduce((v, name) => v == null ? v : v[name], x) : x;
    const show = x => x == null || x === true || x === false || x.constructor === Object ? '-' :
      Array.isArray(x) ? x.map(show).join(', ') : String(x);
    const num = x => x && x.constructor === Object ? Object.values(x).reduce((a, b) => a + num(b), 0) :
      typeof x === 'number' ? x : 0;
    const isTrue = x => x && typeof x === 'object' ? Object.keys(x).length > 0 : !!x;
    const whole = x => String(Math.round(x)), code = x => x.replace(/^GATEWAY_/, '');
    const dec = x => x < 9.95 && x > 0 ? (Math.round(x * 10) / 10).toFixed(1) : whole(x);
    function size(x) {
      let unit = 'B';
      for (const next of ['kB', 'MB', 'GB', 'TB']) if (x >= 1000) [x, unit] = [x / 1000, next];
      return dec(x) + ' ' + unit;
    }
    function duration(x) {
      const d = Math.floor(x / 86400), h = Math.floor(x / 3600) % 24, m = Math.floor(x / 60) % 60;
      return d ? d + ' d ' + h + ' h' : h ? h + ' h ' + m + ' min' : m + ' min ' + Math.floor(x) % 60 + ' s';
    }
    function quantile(share, value, old, bounds) {
      let counts = list(value.counts), low = 0;
      const before = list(old && old.counts);
      if (before.length === counts.length) counts = counts.map((n, i) => Math.max(0, n - before[i]));
      let rest = share * counts.reduce((a, b) => a + b, 0);
      if (!(rest > 0)) return '-';
      for (let i = 0; i < bounds.length; i++) {
        if (counts[i] > 0 && rest <= counts[i]) return dec(low + (bounds[i] - low) * rest / counts[i]);
        rest -= counts[i];
        low = bounds[i];
      }
      return dec(low);
    }
    const codes = x => Object.entries(x).sort((a, b) => b[1] - a[1]).slice(0, 3)
      .map(([name, n]) => code(name) + ' ' + n).join(', ');

    // The facts, details and tables of a status; `before` is an earlier one.
    function view(s, before, secs) {
      const result = {lists: {facts: [], details: []}, tables: {}};
      const format = (x, old, how) => {
        if (x == null) return '-';
        const rate = before ? dec(Math.max(0, num(x) - num(old)) / secs) : '-';
        switch (how) {
          case '': return show(x);
          case 'sum': return whole(num(x));
          case 'rate': return whole(num(x)) + (before ? `, ${rate} per s` : '');
          case 'speed': return rate;
          case 'time': return show(x).slice(0, 19).replace('T', ' ');
          case 'code': return code(show(x));
          case 'size': return size(num(x));
          case 'duration': return duration(num(x));
          case 'codes': return codes(x);
        }
        return quantile(Number(how), x, old, s.latency_bounds_ms);
      };
      const holds = (rule, x) => {
        if (rule === '*') return true;
        if (rule[0] === '!') return !isTrue(get(x, rule.slice(1)));
        if (rule[0] === '?') return get(x, rule.slice(1)) == null;
        const [path, text] = rule.split('='), [time, days] = rule.split('<');
        if (text) return show(get(x, path)) === text;
        return days ? Date.parse(get(x, time)) <= Date.parse(s.at) + days * 864e5 : isTrue(get(x, path));
      };
      const cell = (rules, x, old) => {
        const [, tone, text] = rules.find(([condition]) => holds(condition, x));
        const field = (_, path, how) => format(get(x, path), get(old, path), how);
        return [text.replace(/{([^|}]*)[|]?([^}]*)}/g, field), tone === '.' ? '' : tone];
      };
      let at = 0;
      const take = () => {
        const rules = [];
        while (at < RULES.length && !/^[@=|-] /.test(RULES[at])) {
          const [, ...rule] = RULES[at++].match(/^([^ ]+) ([^ ]+) (.*)$/);
          rules.push(rule);
        }
        return rules;
      };
      while (at < RULES.length) {
        const kind = RULES[at][0], name = RULES[at++].slice(2);
        if (kind !== '@') {
          result.lists[kind === '=' ? 'facts' : 'details'].push([name, ...cell(take(), s, before)]);
          continue;
        }
        const [id, key, path, count, when] = name.split(' '), columns = [];
        while (RULES[at] && RULES[at][0] === '|') columns.push((at++, take()));
        const old = new Map(list(get(before, path)).map(row => [show(row[key]), row])), all = get(s, path);
        const cells = row => columns.map(rules => cell(rules, row, old.get(show(row[key]))));
        const rows = list(all).slice(0, ROWS).map(cells);
        const total = get(s, count), left = (total == null ? list(all).length : total) - rows.length;
        result.tables[id] = {rows, note: left > 0 ? `${left} more are not shown.` : rows.length ? '' : 'None.',
          isShown: when === 'always' || (when === 'known' ? all != null : rows.length > 0)};
      }
      return result;
    }

    function set(node, text, tone) {
      if (node.textContent !== text) node.textContent = text;
      if (node.className !== tone) node.className = tone;
    }
    function draw({lists, tables}) {
      for (const [id, facts] of Object.entries(lists)) {
        const all = byId(id);
        facts.forEach(([name, text, tone], i) => {
          if (!all.children[i]) {
            const item = document.createElement('li');
            item.append(document.createElement('span'), ' ', document.createElement('b'));
            all.append(item);
          }
          set(all.children[i].firstElementChild, name, '');
          set(all.children[i].lastElementChild, text, tone);
        });
        while (all.children.length > facts.length) all.lastElementChild.remove();
      }
      for (const section of document.querySelectorAll('section')) {
        const {rows, note, isShown} = tables[section.id], body = section.querySelector('tbody');
        const heads = section.querySelectorAll('thead th');
        section.hidden = !isShown;
        set(section.querySelector('p'), note, '');
        rows.forEach((row, i) => {
          const tr = body.rows[i] || body.insertRow();
          row.forEach(([text, tone], k) => {
            if (!tr.cells[k]) {
              const cell = document.createElement(k ? 'td' : 'th');
              if (!k) cell.scope = 'row';
              tr.append(cell);
            }
            set(tr.cells[k], text, tone + (heads[k].className ? ' n' : ''));
          });
        });
        while (body.rows.length > rows.length) body.deleteRow(-1);
      }
    }

    let source, heard = 0, paused = false, said = '', samples = [];
    function say(text, tone) {
      if (said === text) return;
      said = text;
      set(byId('live'), text, tone);
    }
    function receive(event) {
      const now = heard = performance.now(), s = JSON.parse(event.data);
      if (samples.length && samples[0].s.started_at !== s.started_at) samples = [];
      while (samples.length > 1 && now - samples[1].now >= WINDOW) samples.shift();
      const old = samples[0], secs = old ? (now - old.now) / 1000 : 0;
      const hasOld = secs > .5;
      draw(hasOld ? view(s, old.s, secs) : view(s));
      samples.push({now, s});
      say('Live', 'good');
      set(byId('span'),
        hasOld ? `Rates and percentiles are of the last ${whole(secs)} s` : 'Percentiles are since the start', '');
    }
    function connect() {
      if (source) source.close();
      source = null;
      if (paused || document.hidden) return;
      heard = performance.now();
      source = new EventSource('events');
      source.onmessage = receive;
    }
    setInterval(() => {
      if (!source || performance.now() - heard < 5000) return;
      say('Not connected: the figures are old. Trying again', 'bad');
      connect();
    }, 1000);
    const pause = byId('pause');
    pause.hidden = false;
    pause.onclick = () => {
      paused = !paused;
      pause.textContent = paused ? 'Continue' : 'Pause';
      if (paused) say('Paused', 'warn');
      connect();
    };
    document.onvisibilitychange = connect;
    connect();
    """
}
