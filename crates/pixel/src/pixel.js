// Include with <script async>, then gatepost('event', 'signup', {plan: 'pro'}).
(function (w, d, n) {
  var early = (w.gatepost && w.gatepost.q) || [], queue = [], config, last;
  var base = d.currentScript.src.replace(/pixel\.js.*$/, 'api/v1/pixel/');
  var from = '?domain=' + encodeURIComponent(location.hostname);
  // Who asks not to be tracked is not, and nothing is asked for.
  var off = n.globalPrivacyControl || n.doNotTrack == '1' || w.doNotTrack == '1';
  function session() {
    try {
      var s = sessionStorage;
      return (s.gatepost = s.gatepost || Math.random().toString(36).slice(2));
    } catch (e) {}
  }
  function send(event, more, url) {
    var f = config.features, p = {title: d.title}, id = f.sessions && session();
    if (!f[event == 'pageview' ? 'pageviews' : 'events']) return;
    if (id) p.session = id;
    fetch(base + 'track' + from, {
      method: 'POST', keepalive: true, credentials: 'omit', headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({event: event, url: url, referrer: d.referrer || null, properties: Object.assign(p, more)})
    }).catch(function () {});
  }
  function track(kind, event, more) {
    if (off || kind != 'event') return;
    config ? send(event, more, location.href) : queue.push([event, more, location.href]);
  }
  function page() {
    if (last != location.href) { last = location.href; track('event', 'pageview'); }
  }
  w.gatepost = track;
  if (off) return;
  page();
  early.forEach(function (a) { track.apply(w, a); });
  fetch(base + 'config' + from, {credentials: 'omit'}).then(function (r) { return r.json(); }).then(function (c) {
    off = !c.enabled || !c.sample_rate;
    config = c;
    if (!off) queue.forEach(function (q) { send.apply(w, q); });
  }).catch(function () { off = 1; });
  var push = history.pushState;
  history.pushState = function () { push.apply(history, arguments); page(); };
  w.addEventListener('popstate', page);
})(window, document, navigator);
