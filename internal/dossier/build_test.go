package dossier_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dossier"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/request"
)

const id = "0190a8c0-0000-7000-8000-000000000001"

func now() time.Time { return time.Date(2026, 3, 9, 14, 5, 0, 0, time.UTC) }

// bucket is a bucket of packages behind a transport that can be broken.
func bucket(t testing.TB) (*blob.Packages, *faulty.Transport) {
	t.Helper()
	env := awstest.New(t)
	net := &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	return blob.NewPackages(cfg, env.Getenv("PACKAGES_BUCKET")), net
}

type rec struct {
	kind string
	v    any
}

type file struct{ name, mediaType, body string }

// export stores one part.
func export(t testing.TB, s *blob.Packages, system string, chunk int, records []rec, files ...file) {
	t.Helper()
	k, err := s.Sink(t.Context(), id, system, chunk)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := k.Record(r.kind, r.v); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		if err := k.File(t.Context(), f.name, f.mediaType, strings.NewReader(f.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func inventory(system string, portable bool) connector.Inventory {
	return connector.Inventory{
		System: system, Kind: system, Title: connector.Text{"en": "The " + system, "fr": "Le " + system}, Region: "DE", EEA: true, Portable: portable,
		Data: []connector.Category{{Name: connector.Text{"en": "Data"}, Purpose: connector.Text{"en": "Service"}, Retention: connector.Text{"en": "A year"}}},
		Does: []connector.Operation{connector.Export},
	}
}

func done(system string, chunks int) request.Step {
	return request.Step{System: system, Operation: connector.Export, Phase: request.Finished, Chunk: chunks}
}

func input(systems []connector.Inventory, steps ...request.Step) dossier.Input {
	return dossier.Input{
		Request:    &request.Request{ID: id, Type: request.Access, Regime: request.GDPR, Received: now().AddDate(0, 0, -8)},
		Controller: request.Controller{Name: "Muster GmbH", DPO: request.Contact{Name: "Ada", Email: "dpo@muster.example"}},
		Systems:    systems, Steps: steps, Language: "en",
	}
}

// build calls Build until it is done.
func build(t testing.TB, s dossier.Store, in dossier.Input) request.Package {
	t.Helper()
	b := &dossier.Builder{Store: s, Now: now}
	result, err := b.Build(t.Context(), in)
	if err != nil || !result.Done {
		t.Fatalf("%+v, %v", result, err)
	}
	return result.Package
}

// open reads a package, and checks it against its own manifest and digest.
func open(t testing.TB, s *blob.Packages, p request.Package) map[string]string {
	t.Helper()
	body, err := s.OpenPackage(t.Context(), id, p.Build)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	all, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(all); hex.EncodeToString(sum[:]) != p.Digest || int64(len(all)) != p.Bytes {
		t.Errorf("%d bytes of another digest than %+v", len(all), p)
	}
	z, err := zip.NewReader(bytes.NewReader(all), int64(len(all)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		files[f.Name] = string(text)
	}
	var m dossier.Manifest
	if err := json.Unmarshal([]byte(files["manifest.json"]), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != len(files)-1 {
		t.Errorf("the manifest names %d of %d files", len(m.Files), len(files)-1)
	}
	for _, f := range m.Files {
		if sum := sha256.Sum256([]byte(files[f.Name])); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(files[f.Name])) != f.Bytes {
			t.Errorf("the manifest is wrong about %s", f.Name)
		}
	}
	return files
}

func names(files map[string]string) []string {
	var list []string
	for name := range files {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func TestBuild(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	export(t, s, "ledger", 0, []rec{{"consents", map[string]any{"id": 1, "created_at": "2026-02-03T04:05:06Z"}}})
	export(t, s, "ledger", 1, nil)
	export(t, s, "ledger", 2, []rec{{"consents", "two"}, {"documents", 3}}, file{"../Scan é.PDF", "application/pdf", "%PDF"}, file{"page.html", "text/html", "<script>"}, file{"empty", "x/y", ""})
	export(t, s, "desk", 0, nil)
	in := input([]connector.Inventory{inventory("ledger", true), inventory("desk", true), inventory("old", true), inventory("paper", true)},
		done("ledger", 3), done("desk", 1),
		request.Step{System: "old", Operation: connector.Export, Phase: request.Skipped, Reason: "the old system is switched off"},
		request.Step{System: "paper", Operation: connector.Export, Phase: request.Finished, Evidence: []connector.Evidence{{Call: "by hand"}}})
	p := build(t, s, in)
	files := open(t, s, p)
	want := []string{
		"context.json", "data/ledger.json", "files/ledger/0001-Scan__.pdf", "files/ledger/0002-page-html.txt", "files/ledger/0003-empty.bin",
		"index.html", "information.html", "manifest.json", "pages/ledger.html",
	}
	if diff := cmp.Diff(want, names(files)); diff != "" {
		t.Error(diff)
	}
	const data = "[\n" + `{"kind":"consents","record":{"created_at":"2026-02-03T04:05:06Z","id":1}},` + "\n" + `{"kind":"consents","record":"two"},` + "\n" + `{"kind":"documents","record":3}` + "\n]\n"
	if diff := cmp.Diff(data, files["data/ledger.json"]); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{"3 records", "nothing found", "the old system is switched off", "handled by a person", "3 attachments"} {
		if !strings.Contains(files["index.html"], part) {
			t.Errorf("index.html does not say %q", part)
		}
	}
	if !strings.Contains(files["pages/ledger.html"], `<time datetime="2026-02-03T04:05:06Z">3 February 2026, 04:05 UTC</time>`) {
		t.Error("a moment is not shown as one")
	}
	if again := build(t, s, in); again.Digest != p.Digest || again.Build != p.Build {
		t.Errorf("built again it is %+v, was %+v", again, p)
	}
}

// What the controller states of automated decisions is shown in the person's
// language; what it has not stated is not made up.
func TestBuild_automated(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	logic := connector.Text{"en": "by the age of the order", "fr": "selon l'âge de la commande"}
	for name, tt := range map[string]struct {
		language string
		stated   *connector.Automated
		page     []string
		data     string
	}{
		"nothing stated":    {"en", nil, []string{"<dt>Automated decisions</dt><dd>The controller has stated none for this system.</dd>"}, `"automated":null`},
		"nothing stated fr": {"fr", nil, []string{"<dt>Décisions automatisées</dt><dd>Le responsable du traitement n’en a déclaré aucune pour ce système.</dd>"}, `"automated":null`},
		"none":              {"en", &connector.Automated{}, []string{"<dd>None: nothing is decided about you"}, `"automated":{"decisions":false}`},
		"none fr":           {"fr", &connector.Automated{}, []string{"<dd>Aucune : rien n’est décidé à votre sujet"}, `"automated":{"decisions":false}`},
		"some": {"en", &connector.Automated{Decisions: true, Logic: logic, Consequences: connector.Text{"en": "money"}},
			[]string{"<dt>Automated decisions</dt><dd>yes</dd>", "<dt>How it decides</dt><dd>by the age of the order</dd>", "<dt>What it means for you</dt><dd>money</dd>"}, `"decisions":true`},
		"some fr": {"fr", &connector.Automated{Decisions: true, Logic: logic, Consequences: connector.Text{"fr": "de l'argent"}},
			[]string{"<dd>oui</dd>", "<dt>Comment la décision est prise</dt><dd>selon l&#39;âge de la commande</dd>", "<dd>de l&#39;argent</dd>"}, `"consequences":{"fr":"de l'argent"}`},
	} {
		desk := inventory("desk", true)
		desk.Automated = tt.stated
		in := input([]connector.Inventory{desk}, done("desk", 0))
		in.Language = tt.language
		files := open(t, s, build(t, s, in))
		for _, part := range tt.page {
			if !strings.Contains(files["information.html"], part) {
				t.Errorf("%s: information.html does not say %q", name, part)
			}
		}
		if !strings.Contains(files["context.json"], tt.data) {
			t.Errorf("%s: context.json does not say %s", name, tt.data)
		}
	}
}

// Portability holds what Art. 20 covers, and says of the rest why it is missing.
func TestBuild_portability(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	for _, system := range []string{"ledger", "notes"} {
		export(t, s, system, 0, []rec{{"k", system}})
	}
	in := input([]connector.Inventory{inventory("ledger", true), inventory("notes", false)}, done("ledger", 1), done("notes", 1))
	in.Request.Type, in.Language = request.Portability, "fr-BE"
	files := open(t, s, build(t, s, in))
	if diff := cmp.Diff([]string{"context.json", "data/ledger.json", "index.html", "information.html", "manifest.json", "pages/ledger.html"}, names(files)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(files["index.html"], "droit à la portabilité") {
		t.Error("index.html does not say why notes are missing")
	}
}

func TestBuild_excluded(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	export(t, s, "desk", 0, []rec{{"tickets", "text-T1"}, {"notes", "text-N1"}, {"tickets", "text-T2"}}, file{"of Otto Other.pdf", "x/y", "ATTACHED"}, file{"mine.pdf", "x/y", "MINE"})
	export(t, s, "desk", 1, []rec{{"notes", "text-N2"}, {"tickets", "text-T3"}})
	base := input([]connector.Inventory{inventory("desk", true)}, done("desk", 2))
	everything := []string{"text-T1", "text-T2", "text-T3", "text-N1", "text-N2", "ATTACHED", "MINE"}
	for part, gone := range map[string][]string{
		"desk/notes":                        {"text-N1", "text-N2"},
		"desk/tickets/2":                    {"text-T2"},
		"desk/tickets/3":                    {"text-T3"},
		"files/desk/0001":                   {"ATTACHED"},
		"files/desk/0001-of_Otto_Other.pdf": {"ATTACHED"},
		"desk":                              everything,
		"data/desk.json":                    everything,
	} {
		in := base
		in.Excluded = []request.Exclusion{{Part: part, Reason: "because <others> appear"}}
		p := build(t, s, in)
		files := open(t, s, p)
		all := ""
		for _, text := range files {
			all += text
		}
		for _, text := range everything {
			if has := strings.Contains(all, text); has == slices.Contains(gone, text) {
				t.Errorf("without %s: %s is there: %v", part, text, has)
			}
		}
		if strings.Contains(part, "files") && strings.Contains(all, "Otto") {
			t.Errorf("without %s: its name is still there", part)
		}
		if part == "desk/tickets/2" && (!strings.Contains(files["pages/desk.html"], "<h3>Ticket 3</h3>") || strings.Contains(files["pages/desk.html"], "<h3>Ticket 2</h3>")) {
			t.Error("the records that stay have other numbers than before")
		}
		if !strings.Contains(files["index.html"], "because &lt;others&gt; appear") || !strings.Contains(files["context.json"], "because <others> appear") {
			t.Errorf("without %s: the reason is not said", part)
		}
		if diff := cmp.Diff(in.Excluded, p.Excluded); diff != "" {
			t.Error(diff)
		}
	}
	for _, part := range []string{"", "desk/none", "desk/tickets/4", "desk/tickets/0", "desk/tickets/x", "other", "files/desk/0003", "index.html", "desk/"} {
		in := base
		in.Excluded = []request.Exclusion{{Part: part}}
		if _, err := (&dossier.Builder{Store: s, Now: now}).Build(t.Context(), in); !errs.Is(err, errs.Invalid) {
			t.Errorf("without %q: %v, want invalid", part, err)
		}
	}
}

// What is not there yet, or any more, never makes a package that is merely
// shorter.
func TestBuild_incomplete(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	export(t, s, "desk", 0, []rec{{"tickets", "T1"}})
	systems := []connector.Inventory{inventory("desk", true)}
	running := done("desk", 1)
	running.Phase = request.Pending
	for name, tt := range map[string]struct {
		in   dossier.Input
		want errs.Kind
	}{
		"not begun": {with(input(systems), request.Found{System: "desk", Counts: map[string]int{"tickets": 1}}), errs.Conflict},
		"not asked": {with(input(systems), request.Found{System: "desk", Failed: true}), errs.Conflict},
		"not ended": {input(systems, running), errs.Conflict},
		"part gone": {input(systems, done("desk", 2)), errs.Internal},
	} {
		if result, err := (&dossier.Builder{Store: s, Now: now}).Build(t.Context(), tt.in); !errs.Is(err, tt.want) || result.Done {
			t.Errorf("%s: %+v, %v; want %s", name, result, err, tt.want)
		}
	}
}

func with(in dossier.Input, found request.Found) dossier.Input {
	in.Found = []request.Found{found}
	return in
}

// A system that was asked and holds nothing has no export; one that came after
// the request is not mentioned.
func TestBuild_asked(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	export(t, s, "desk", 0, []rec{{"tickets", "T1"}})
	in := input([]connector.Inventory{inventory("desk", true), inventory("empty", true), inventory("later", true)}, done("desk", 1))
	in.Found = []request.Found{{System: "desk", Counts: map[string]int{"tickets": 1}}, {System: "empty"}}
	in.Request.Regime, in.Language = request.CCPA, "fr"
	index := open(t, s, build(t, s, in))["index.html"]
	for text, want := range map[string]bool{"Le desk": true, "Le empty": true, "Le later": false, "rien trouvé": true} {
		if strings.Contains(index, text) != want {
			t.Errorf("index.html says %q: %v", text, !want)
		}
	}
}

// A French page names what it knows in French, and the rest as it is called.
func TestBuild_french(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	export(t, s, "desk", 0, []rec{{"subjects", map[string]any{"first_name": "Ines", "received_at": "2026-02-03T04:05:06Z", "customer_level": "gold"}}})
	in := input([]connector.Inventory{inventory("desk", true)}, done("desk", 1))
	in.Language = "fr"
	page := open(t, s, build(t, s, in))["pages/desk.html"]
	for _, part := range []string{"Personne 1", "Prénom", "Reçu le", "Customer level"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not say %q:\n%s", part, page)
		}
	}
}

// Content that is made to break out stays text, in every page.
func TestBuild_hostile(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	hostile := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><style>body{display:none}`, `javascript:alert(1)`, "</title><script>",
		`<a href="http://evil.example/?q=">`, "\u202Egnp.exe", "{{.Controller}}", "]]><![CDATA[", "\x00\x01", `<meta http-equiv=refresh content=0>`,
	}
	var records []rec
	var files []file
	for _, h := range hostile {
		records = append(records, rec{"k" + strings.ReplaceAll(strings.Map(printable, h), "/", ""), map[string]any{h: h, "list": []any{h, map[string]any{h: []string{h}}}, "url": h}})
		files = append(files, file{h, h, h})
	}
	export(t, s, "desk", 0, records, files...)
	evil := inventory("desk", true)
	evil.Title, evil.Source = connector.Text{"en": hostile[0]}, connector.Text{"en": hostile[1]}
	in := input([]connector.Inventory{evil}, done("desk", 1))
	in.Controller.Name, in.Controller.Authority = hostile[0], connector.Text{"en": hostile[5]}
	for name, text := range open(t, s, build(t, s, in)) {
		if strings.HasPrefix(name, "files/") {
			if ext := path.Ext(name); ext != ".txt" && ext != ".bin" && ext != ".pdf" {
				t.Errorf("%q may run", name)
			}
			if path.Clean(name) != name || strings.Count(name, "/") != 2 {
				t.Errorf("%q leaves its folder", name)
			}
		}
		if path.Ext(name) != ".html" {
			continue
		}
		for _, finding := range active(t, text) {
			t.Errorf("%s: %s", name, finding)
		}
	}
}

// active lists what of a page is more than text, style of our own, and links
// inside the package.
func active(t testing.TB, text string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var findings []string
	styles, policies := 0, 0
	known := strings.Fields("html head meta title style body a header div h1 h2 h3 p main footer dl dt dd br strong section article span ul ol li bdi time nav")
	attributes := strings.Fields("lang charset http-equiv content name class id href rel datetime aria-label aria-labelledby")
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			findings = append(findings, "a comment: "+n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(known, n.Data) {
			findings = append(findings, "an element "+n.Data)
		}
		if n.Data == "style" {
			styles++
		}
		for _, a := range n.Attr {
			if !slices.Contains(attributes, a.Key) {
				findings = append(findings, "an attribute "+a.Key)
			}
			if a.Key == "http-equiv" && a.Val == "Content-Security-Policy" {
				policies++
			} else if a.Key == "http-equiv" {
				findings = append(findings, "an instruction "+a.Val)
			}
			if address, err := url.Parse(a.Val); a.Key == "href" && (err != nil || address.Scheme != "" || address.Host != "") {
				findings = append(findings, "a link to "+a.Val)
			}
		}
	}
	if styles != 1 || policies != 1 {
		findings = append(findings, fmt.Sprintf("%d styles and %d policies", styles, policies))
	}
	return findings
}

func printable(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

// sample is a package of several pieces: records, and attachments that do not
// get smaller.
func sample(t testing.TB, s *blob.Packages) dossier.Input {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 6<<20)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for chunk := range 2 {
		var records []rec
		for i := range 150 {
			records = append(records, rec{"messages", fmt.Sprintf("%d-%d %x", chunk, i, random.Uint64())})
		}
		export(t, s, "desk", chunk, records, file{"noise.jpg", "image/jpeg", string(noise[:len(noise)>>chunk])})
	}
	return input([]connector.Inventory{inventory("desk", true)}, done("desk", 2))
}

// A build that is crashed at any call is gone on with by the next one, and the
// package is the same in the end.
func TestBuild_crashes(t *testing.T) {
	t.Parallel()
	s, net := bucket(t)
	base := sample(t, s)
	want := content(open(t, s, build(t, s, base)))
	calls := len(net.Calls())
	count := 0
	kinds := []faulty.Fault{faulty.Lost, faulty.Refused}
	if testing.Short() {
		kinds = kinds[:1]
	}
	for _, fault := range kinds {
		for n := 1; ; n++ {
			in := base
			in.Controller.Address = fmt.Sprint(fault, n) // another build
			made := 0
			crashed := false
			net.Break(func(faulty.Call) faulty.Fault {
				made++
				switch {
				case made < n:
					return faulty.None
				case made == n: // the call may have got through; nobody hears of it, and nothing follows
					crashed = true
					return fault
				}
				return faulty.Refused
			})
			_, err := (&dossier.Builder{Store: s, Now: now}).Build(t.Context(), in)
			net.Reset()
			if !crashed {
				break
			}
			if err == nil {
				t.Errorf("crashed at call %d (%s): no error", n, fault)
			}
			if diff := cmp.Diff(want, content(open(t, s, build(t, s, in)))); diff != "" {
				t.Errorf("crashed at call %d (%s): %s", n, fault, diff)
			}
			count++
		}
	}
	t.Logf("%d crashes; a build makes some %d calls", count, calls)
}

// content is what does not depend on the build.
func content(files map[string]string) map[string]string {
	list := map[string]string{}
	for name, text := range files {
		if strings.HasPrefix(name, "data/") || strings.HasPrefix(name, "files/") || strings.HasPrefix(name, "pages/") {
			sum := sha256.Sum256([]byte(text))
			list[name] = hex.EncodeToString(sum[:])
		}
	}
	return list
}

// Each single call may fail, or lose its answer, without anybody noticing.
func TestBuild_faults(t *testing.T) {
	t.Parallel()
	s, net := bucket(t)
	base := sample(t, s)
	want := content(open(t, s, build(t, s, base)))
	for _, fault := range []faulty.Fault{faulty.Throttled, faulty.Lost, faulty.FailedYet} {
		for _, op := range []string{"s3.PutObject", "s3.GetObject", "s3.POST"} {
			for n := 1; n <= 4; n++ {
				if testing.Short() && n%2 == 0 {
					continue
				}
				in := base
				in.Controller.Address = fmt.Sprint(op, fault, n)
				net.Break(faulty.Nth(op, n, fault))
				p := build(t, s, in)
				net.Reset()
				if diff := cmp.Diff(want, content(open(t, s, p))); diff != "" {
					t.Errorf("%s of %s %d: %s", fault, op, n, diff)
				}
			}
		}
	}
}

// A build that runs out of time says so and is gone on with.
func TestBuild_deadline(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	in := sample(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	b := &dossier.Builder{Store: s, Now: now, Margin: 2 * time.Hour} // always late: one unit at a time
	for rounds := 1; ; rounds++ {
		result, err := b.Build(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if result.Done {
			if rounds < 10 {
				t.Errorf("done after %d rounds of one unit", rounds)
			}
			files := open(t, s, result.Package)
			if !strings.HasSuffix(files["data/desk.json"], "\n]\n") || !json.Valid([]byte(files["data/desk.json"])) {
				t.Error("the data file is not whole")
			}
			return
		}
	}
}

// Somebody else's upload, or one that was abandoned, is begun anew.
func TestBuild_uploadGone(t *testing.T) {
	t.Parallel()
	s, _ := bucket(t)
	in := sample(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	b := &dossier.Builder{Store: s, Now: now, Margin: 2 * time.Hour}
	for range 4 {
		if result, err := b.Build(ctx, in); err != nil || result.Done {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	if err := s.AbortUploads(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	open(t, s, build(t, s, in))
}
