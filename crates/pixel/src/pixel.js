// <script async>, then gatepost('event', 'signup', {plan: 'pro'}). With data-hash, #/cart is a page of its own.
(function (w, d, n) {
  var early = (w.gatepost && w.gatepost.q) || [], queue = [], config, last, script = d.currentScript;
  var base = script.src.replace(/pixel\.js.*$/, 'api/v1/pixel/'), hash = (script.dataset || {}).hash != null;
  var from = '?domain=' + encodeURIComponent(location.hostname);
  // Who asks not to be tracked is not.
  var off = n.globalPrivacyControl || n.doNotTrack == '1' || w.doNotTrack == '1';
  function here() { return hash ? location.href : location.href.split('#')[0]; }
  function session() {
    try {
      var s = sessionStorage;
      return (s.gatepost = s.gatepost || Math.random().toString(36).slice(2));
    } catch (e) {}
  }
  function send(name, more, url, ref) {
    var f = config.features, p = {title: d.title.slice(0, 512)}, id = f.sessions && session();
    if (!f[name == 'pageview' ? 'pageviews' : 'events']) return;
    if (id) p.session = id;
    fetch(base + 'track' + from, {
      method: 'POST', keepalive: true, credentials: 'omit', headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({event: name, url: url.slice(0, 9999), referrer: ref || null, properties: Object.assign(p, more)})
    }).catch(function () {});
  }
  function tell(name, more, ref) {
    var a = [name, more, here(), ref];
    off || (config ? send.apply(w, a) : queue.push(a));
  }
  function track(kind, name, more) { kind == 'event' && tell(name, more); }
  // A document has its referrer, each later page the one before.
  function page() {
    var u = here(), before = last || d.referrer;
    if (last != u) { last = u; tell('pageview', 0, before); }
  }
  w.gatepost = track;
  if (off) return;
  page();
  early.forEach(function (a) { track.apply(w, a); });
  fetch(base + 'config' + from, {credentials: 'omit'}).then(function (r) { return r.json(); }).then(function (c) {
    config = c = c.data || c;
    off = !c.enabled || !c.sample_rate;
    queue.forEach(function (q) { off || send.apply(w, q); });
  }).catch(function () { off = 1; });
  var push = history.pushState;
  history.pushState = function () { push.apply(history, arguments); page(); };
  w.addEventListener('popstate', page);
})(window, document, navigator);
