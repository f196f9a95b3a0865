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

  /// Shows what the gateway has made of its status. Texts become text nodes only.
  static let script = """
    'use strict';
    const byId = id => document.getElementById(id);

    function set(node, text, tone) {
      if (node.textContent !== text) node.textContent = text;
      if (node.className !== tone) node.className = tone;
    }
    function draw(view) {
      for (const id of ['facts', 'details']) {
        const all = byId(id), facts = view[id];
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
        const {rows, note, isShown} = view.tables[section.id], body = section.querySelector('tbody');
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
      set(byId('span'), view.span, '');
    }

    let source, heard = 0, paused = false, said = '';
    function say(text, tone) {
      if (said === text) return;
      said = text;
      set(byId('live'), text, tone);
    }
    function receive(event) {
      heard = performance.now();
      draw(JSON.parse(event.data));
      say('Live', 'good');
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
