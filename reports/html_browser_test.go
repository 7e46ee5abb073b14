package reports_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/hookanvil/hookanvil/reports"
)

var screens = flag.String("screens", "", "directory for screenshots of the pages")

// browser is a page in a headless Chromium, with what it complained of and asked for.
type browser struct {
	context.Context
	t  *testing.T
	mu sync.Mutex
	// complaints are exceptions, errors and violations of the policy, dialogs among them.
	complaints []string
	requests   []string // but that for the page itself
}

// start begins a browser, or skips the test where there is none.
func start(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() || os.Getenv("HOOKANVIL_TESTS") != "whole" {
		t.Skip("a browser takes half a minute: HOOKANVIL_TESTS=whole go test ./reports -run InABrowser")
	}
	return launch(t)
}

// launch is start without asking whether there is time for it.
func launch(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium: install the package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// step is something that a browser is made to do.
type step = chromedp.Action[chromedp.Void]

// command is a command of the protocol as a step.
func command[P, R any](c cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// open shows a page in a tab of its own, at a size.
func open(ctx context.Context, t *testing.T, text string, width, height int64, before ...step) *browser {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	tab, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{Context: tab, t: t}
	steps := []step{
		command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}),
		command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500}),
	}
	b.run(append(steps, before...)...)
	must(t, chromedp.Listen(tab, b.hear))
	b.run(chromedp.Navigate((&url.URL{Scheme: "file", Path: path}).String()), chromedp.WaitReady(chromedp.CSS("footer")))
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text))
	case *cdppage.EventJavascriptDialogOpening:
		b.complaints = append(b.complaints, "dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		if !strings.HasSuffix(e.Request.URL, "/page.html") {
			b.requests = append(b.requests, e.Request.URL)
		}
	}
}

func (b *browser) run(steps ...step) {
	b.t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// get evaluates an expression in the page.
func get[T any](b *browser, expression string) T {
	b.t.Helper()
	return take(b, chromedp.Evaluate[T](expression))
}

func take[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// quiet makes sure that the page complained of nothing and asked for nothing.
func (b *browser) quiet(what string) {
	b.t.Helper()
	take(b, chromedp.Evaluate[bool]("new Promise(done => requestIdleCallback(() => done(true), {timeout: 1000}))", chromedp.EvalAwaitPromise))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		b.t.Errorf("%s: the browser complains: %s", what, complaint)
	}
	for _, request := range b.requests {
		b.t.Errorf("%s: a request leaves: %s", what, request)
	}
}

// shoot takes a picture, for people to look at.
func (b *browser) shoot(name string, whole bool) {
	b.t.Helper()
	dir := *screens
	if dir == "" {
		dir = b.t.TempDir()
	}
	action := chromedp.CaptureScreenshot()
	if whole {
		action = chromedp.FullScreenshot(100)
	}
	picture := take(b, action)
	must(b.t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600))
	if len(picture) < 5000 {
		b.t.Errorf("the picture %s is empty", name)
	}
}

const (
	wide   = 1280
	height = 900
	phone  = 360
)

func prefers(scheme string) step {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

func loadPage(t *testing.T, m reports.Measurement) string {
	t.Helper()
	var b strings.Builder
	must(t, reports.MeasurementHTML(&b, m))
	return b.String()
}

func TestHTMLInABrowser(t *testing.T) {
	ctx := start(t)
	receiver, sender := htmlOf(t, sampleRun()), htmlOf(t, sampleSenderRun())
	oneCause := htmlOf(t, found(findings("receiver/signature", reports.Fail, 90, causes[1].reasons...), findings("receiver/replay", reports.Warn, 9, "answered 409 Conflict")))

	t.Run("first screen", func(t *testing.T) {
		b := open(ctx, t, receiver, wide, height)
		const onScreen = `[...document.querySelectorAll(%q)].filter(e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && r.width > 0 }).map(e => e.textContent).join('|')`
		first := get[string](b, fmt.Sprintf(onScreen, "h1, dd, .list a, .suites th"))
		for _, want := range []string{"Failed in 8.4 s: 21 passed, 2 failed (1 known)", "http://127.0.0.1:8080/hooks", "standard-webhooks", "2026-05-04 09:30:00 UTC", "8.4 s", "42",
			"A body changed by one bit after signing is rejected", "receiver/signature", "must"} {
			if !strings.Contains(first, want) {
				t.Errorf("the first screen does not say %q: %s", want, first)
			}
		}
		b.quiet("the page")
		b.shoot("receiver", true)
	})

	t.Run("first screen of one cause", func(t *testing.T) {
		b := open(ctx, t, oneCause, wide, height)
		const at = `[...document.querySelectorAll('.cause p')].map(e => e.getBoundingClientRect()).every(r => r.height > 0 && r.bottom <= innerHeight)`
		if !get[bool](b, at) {
			t.Error("the first screen does not show the cause and its repair")
		}
		b.run(chromedp.Click(chromedp.CSS(".cause summary")), chromedp.WaitVisible(chromedp.CSS(".cause li a")))
		b.quiet("the page of one cause")
		b.shoot("cause", false)
	})

	t.Run("dark", func(t *testing.T) {
		b := open(ctx, t, receiver, wide, height, prefers("dark"))
		const background = `getComputedStyle(document.body).backgroundColor`
		dark := get[string](b, background)
		b.shoot("receiver-dark", false)
		b.run(chromedp.Click(chromedp.CSS("#theme")))
		light := get[string](b, background)
		b.run(chromedp.Click(chromedp.CSS("#theme")))
		if again := get[string](b, background); light == dark || again != dark || light != "rgb(255, 255, 255)" {
			t.Errorf("the background is %s, in light %s, in dark %s", dark, light, again)
		}
		b.quiet("the dark page")
	})

	t.Run("phone", func(t *testing.T) {
		for name, page := range map[string]string{
			"receiver": receiver, "sender": sender, "load": loadPage(t, sampleMeasurement()), "search": loadPage(t, sampleSearch()), "cause": oneCause, "large": htmlOf(t, largeRun()), "hostile": htmlOf(t, everywhere(payloads["R24 one very long line"]+strings.Repeat("W", 900))),
		} {
			b := open(ctx, t, page, phone, 800)
			get[bool](b, "document.querySelectorAll('details').forEach(d => d.open = true) || true")
			if width := get[int](b, "document.documentElement.scrollWidth"); width > phone {
				t.Errorf("%s scrolls sideways: it is %d wide: %s", name, width, get[string](b, `[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.chart,.scroll')).slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join('\n')`))
			}
			b.quiet(name)
			if name != "large" && name != "hostile" {
				b.shoot(name+"-phone", true)
			}
		}
	})

	t.Run("filter", func(t *testing.T) {
		b := open(ctx, t, receiver, wide, height)
		const cases = `[...document.querySelectorAll('[data-v]')].filter(e => !e.hidden && !e.closest('[hidden]')).length`
		told := func() string { return get[string](b, `document.getElementById('count').textContent`) }
		all := get[int](b, cases)
		if want := fmt.Sprintf("%d of %d cases", len(sampleRun().Results), len(sampleRun().Results)); told() != want || all != len(sampleRun().Results) {
			t.Errorf("%d cases, told as %q, want %q", all, told(), want)
		}
		if live := get[string](b, `document.getElementById('count').getAttribute('aria-live')`); live != "polite" {
			t.Error("the count is not announced")
		}
		b.run(chromedp.KeyEvent("/"))
		// The key is typed as well, since it is not a keyboard that sends it.
		if at := get[string](b, `(document.activeElement.value = '') + document.activeElement.id`); at != "search" {
			t.Errorf("the key / leads to %q", at)
		}
		b.run(chromedp.KeyEvent("ONE BIT flip"))
		if n, said := get[int](b, cases), told(); n != 1 || !strings.HasPrefix(said, "1 of ") {
			t.Errorf("a search for one case shows %d and says %q", n, said)
		}
		b.shoot("filtered", false)
		b.run(chromedp.KeyEvent(kb.Escape), chromedp.SetValue(chromedp.CSS("#verdict"), "skip"))
		get[bool](b, `document.getElementById('verdict').dispatchEvent(new Event('input'))`)
		if n := get[int](b, cases); n != 3 {
			t.Errorf("%d cases are skipped, and there are 3", n)
		}
		// A link to what is filtered out shows it.
		b.run(chromedp.Click(chromedp.CSS(".list a")), chromedp.WaitVisible(chromedp.CSS(`article[id="receiver.signature.body-bit-flipped"]`)))
		b.quiet("the filtered page")
	})

	t.Run("keyboard", func(t *testing.T) {
		b := open(ctx, t, receiver, wide, height)
		var order []string
		for range 12 {
			b.run(chromedp.KeyEvent(kb.Tab))
			order = append(order, get[string](b, `(() => { const e = document.activeElement; return e.id || e.getAttribute('href') || e.getAttribute('aria-label') || e.tagName })()`))
			if outline := get[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
				t.Errorf("the focus on %s is not seen", order[len(order)-1])
			}
		}
		got := strings.Join(order, " ")
		for _, want := range []string{"#cases #receiver.signature.body-bit-flipped", "search verdict level theme"} {
			if !strings.Contains(got, want) {
				t.Errorf("Tab goes over %s, and not %s", got, want)
			}
		}
	})

	t.Run("headings", func(t *testing.T) {
		for name, page := range map[string]string{"receiver": receiver, "sender": sender, "cause": oneCause} {
			b := open(ctx, t, page, wide, height)
			levels := get[[]int](b, `[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))`)
			for i, level := range levels {
				if i == 0 && level != 1 || i > 0 && (level > levels[i-1]+1 || level == 1) {
					t.Errorf("%s: the headings go %v", name, levels)
					break
				}
			}
			if n := get[int](b, `document.querySelectorAll('main').length + document.querySelectorAll('header').length + document.querySelectorAll('footer').length`); n != 3 {
				t.Errorf("%s: %d landmarks", name, n)
			}
			if lost := get[[]string](b, `[...document.querySelectorAll('a[href^="#"]')].map(a => decodeURIComponent(a.hash.slice(1))).filter(id => !document.getElementById(id))`); len(lost) > 0 {
				t.Errorf("%s: links that lead nowhere: %q", name, lost)
			}
		}
	})

	t.Run("contrast", func(t *testing.T) {
		for _, scheme := range []string{"light", "dark"} {
			for name, page := range map[string]string{"receiver": receiver, "sender": sender, "cause": oneCause, "load": loadPage(t, sampleMeasurement())} {
				b := open(ctx, t, page, wide, height, prefers(scheme))
				get[bool](b, "document.querySelectorAll('details').forEach(d => d.open = true) || true")
				for _, weak := range get[[]string](b, contrast) {
					t.Errorf("%s, %s: %s", name, scheme, weak)
				}
			}
		}
	})

	t.Run("print", func(t *testing.T) {
		b := open(ctx, t, receiver, wide, height)
		pdf := take(b, chromedp.PrintToPDF())
		if !strings.HasPrefix(string(pdf), "%PDF-") || len(pdf) < 10_000 {
			t.Errorf("%d bytes of a PDF", len(pdf))
		}
		if *screens != "" {
			must(t, os.WriteFile(filepath.Join(*screens, "receiver.pdf"), pdf, 0o600))
		}
		b.run(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}))
		if get[bool](b, `document.getElementById('tools').checkVisibility()`) {
			t.Error("controls are printed")
		}
		if hidden := get[int](b, `[...document.querySelectorAll('.case.fail pre')].filter(e => e.getBoundingClientRect().height === 0).length`); hidden > 0 {
			t.Errorf("%d pieces of evidence of a failure are not printed", hidden)
		}
	})

	t.Run("without a script", func(t *testing.T) {
		b := open(ctx, t, receiver, wide, height, command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
		b.run(chromedp.WaitVisible(chromedp.CSS("article.fail pre")), chromedp.WaitNotVisible(chromedp.CSS("#tools")))
	})

	t.Run("load", func(t *testing.T) {
		b := open(ctx, t, loadPage(t, sampleMeasurement()), wide, height)
		b.quiet("the page of a load")
		b.shoot("load", true)
		b = open(ctx, t, loadPage(t, sampleSearch()), wide, height, prefers("dark"))
		b.shoot("search-dark", true)
		b = open(ctx, t, sender, wide, height)
		b.quiet("the page of a sender")
		b.shoot("sender", true)
	})
}

// contrast lists texts that stand out from what is behind them by less than 4.5 to 1, as
// WCAG counts it.
const contrast = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data] };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c } return [255, 255, 255, 255] };
  const weak = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || e.closest('[aria-hidden]') || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e), svg = e.namespaceURI.endsWith('svg');
    if (svg && e.tagName !== 'text') continue;
    const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) weak.add(e.tagName + '.' + e.getAttribute('class') + ' has ' + ratio.toFixed(2));
  }
  return [...weak];
})()`

// Nothing that a peer can choose runs, or is asked for, in a real browser: all payloads stand
// in one page, in each place there is.
func TestHTMLInjectionInABrowser(t *testing.T) {
	ctx := start(t)
	all := everywhere("harmless")
	all.Notes, all.Results = nil, nil
	for name, payload := range payloads {
		one := everywhere(payload)
		all.Notes = append(all.Notes, one.Notes...)
		load := loadEverywhere(payload)
		one.Results[0].Load = &load
		for i := range one.Results {
			one.Results[i].ID += name + payload
			one.Results[i].Fix = payload
		}
		all.Results = append(all.Results, one.Results...)
	}
	b := open(ctx, t, htmlOf(t, all), wide, height)
	get[bool](b, "document.querySelectorAll('details').forEach(d => d.open = true) || true")
	if n := get[int](b, "document.querySelectorAll('article').length"); n < len(payloads) {
		t.Errorf("the page has %d cases", n)
	}
	b.quiet("the page of a run")
	for _, name := range []string{"R01 script", "R02 image", "R04 closing tag", "R05 SVG"} {
		b := open(ctx, t, loadPage(t, loadEverywhere(payloads[name])), wide, height)
		b.quiet(name + " in the page of a load")
	}
}
