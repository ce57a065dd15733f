package requests_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dossier"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/request"
)

// byHand opens an access request whose system waits for a person, and returns
// it with the path of the task.
func (d *door) byHand() (id, path string) {
	d.t.Helper()
	id = d.opened(map[string]any{"type": "access"})
	d.change(id, func(r *request.Request) { r.State, r.Epoch, r.Execution = request.Running, 1, "arn:"+id+"-1" })
	task := d.task(id, request.TaskManual, []request.Act{request.Done, request.Skip}, func(t *request.Task, c *request.Change) {
		t.Operation, c.Steps[0].Operation, c.Steps[0].Chunk = connector.Export, connector.Export, 0
	})
	d.waiting(id, request.WaitTask(task))
	return id, "/requests/" + id + "/tasks/" + task
}

func upload(name, mediaType, content string) string {
	body, _ := json.Marshal(map[string]any{"name": name, "type": mediaType, "content": base64.StdEncoding.EncodeToString([]byte(content))})
	return string(body)
}

const letterName = "letter of planted Inesita.pdf"

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (d *door) step(id string) request.Step {
	d.t.Helper()
	steps, err := d.store.Steps(d.t.Context(), id)
	if err != nil || len(steps) != 1 {
		d.t.Fatal(steps, err)
	}
	return steps[0]
}

// packed builds the package of a request and returns its files.
func (d *door) packed(id string, excluded ...request.Exclusion) map[string]string {
	d.t.Helper()
	b := &dossier.Builder{Store: d.out.Packages, Now: func() time.Time { return *d.now }}
	result, err := b.Build(d.t.Context(), dossier.Input{
		Request: d.get(id), Systems: []connector.Inventory{{System: "archive", Kind: "manual", Title: connector.Text{"en": "Archive"}, Region: "FR", EEA: true}},
		Found: []request.Found{{System: "archive"}}, Steps: []request.Step{d.step(id)}, Excluded: excluded, Language: "en",
	})
	if err != nil || !result.Done {
		d.t.Fatalf("%+v, %v", result, err)
	}
	body, err := d.out.OpenPackage(d.t.Context(), id, result.Package.Build)
	if err != nil {
		d.t.Fatal(err)
	}
	defer body.Close()
	all, err := io.ReadAll(body)
	if err != nil {
		d.t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(all), int64(len(all)))
	if err != nil {
		d.t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			d.t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			d.t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}

// What an operator has found by hand is in the package, with its digest in the
// log, and an officer may leave it out with its name.
func TestFiles(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id, path := d.byHand()
	body := `{"decision":"done","why":"from the archive","files":[` + upload(letterName, "application/pdf", "%PDF a letter") + `,` + upload(`..\\..\\con/run.html`, "", "<script>alert(1)</script>") + `]}`
	for range 2 {
		d.ask("operator", "POST", path, body).want(200)
	}
	letter, page := digest("%PDF a letter"), digest("<script>alert(1)</script>")
	step := d.step(id)
	if step.Phase != request.Finished || step.Upload == "" || len(step.Evidence) != 2 || step.Evidence[0].Digest != letter || step.Evidence[1].Digest != page {
		t.Errorf("%+v", step)
	}
	entries, err := d.store.Log(t.Context(), id, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	done := slices.DeleteFunc(entries, func(e request.Entry) bool { return e.Act != request.Done })
	if len(done) != 1 || done[0].Detail["evidence"] != letter+" "+page {
		t.Errorf("the log has %+v", done)
	}
	files := d.packed(id)
	if files["files/archive/0001-letter_of_planted_Inesita.pdf"] != "%PDF a letter" || files["files/archive/0002-run-html.txt"] != "<script>alert(1)</script>" {
		t.Errorf("%v", slices.Sorted(maps.Keys(files)))
	}
	data := fmt.Sprintf(`[
{"kind":"document","record":{"media_type":"application/pdf","bytes":13,"sha256":"%s"}},
{"kind":"document","record":{"media_type":"application/octet-stream","bytes":25,"sha256":"%s"}}
]
`, letter, page)
	if diff := cmp.Diff(data, files["data/archive.json"]); diff != "" {
		t.Error(diff)
	}
	var manifest dossier.Manifest
	if err := json.Unmarshal([]byte(files["manifest.json"]), &manifest); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(manifest.Files, dossier.ManifestFile{Name: "files/archive/0001-letter_of_planted_Inesita.pdf", Bytes: 13, SHA256: letter}) {
		t.Errorf("%+v", manifest.Files)
	}
	for name, text := range d.packed(id, request.Exclusion{Part: "files/archive/0001", Reason: "another person's"}) {
		if strings.Contains(name+text, "planted") || strings.Contains(text, "a letter") {
			t.Errorf("%s still names what is left out", name)
		}
	}
}

// Whatever breaks on the way, a verdict is never written without its files, and
// the same call again ends well.
func TestFiles_interrupted(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for _, call := range []string{"s3.PutObject", "dynamodb.TransactWriteItems"} {
		for _, fault := range append(slices.Clone(faulty.Before), faulty.After...) {
			one := d.instance()
			id, path := one.byHand()
			body := `{"decision":"done","files":[` + upload(letterName, "application/pdf", "%PDF") + `]}`
			one.net.Break(faulty.Every(call, fault))
			if a := one.ask("operator", "POST", path, body); a.Status != 200 && a.Status != 503 && a.Status != 409 {
				t.Errorf("%s %s: %d %s", call, fault, a.Status, a.Body)
			}
			one.net.Reset()
			if step := one.step(id); step.Phase == request.Finished {
				one.packed(id) // what the verdict names is there
			} else if step.Phase != request.Asking || step.Upload != "" {
				t.Errorf("%s %s: %+v", call, fault, step)
			}
			one.ask("operator", "POST", path, body).want(200)
			if files := one.packed(id); files["files/archive/0001-letter_of_planted_Inesita.pdf"] != "%PDF" {
				t.Errorf("%s %s: the package lacks the file", call, fault)
			}
		}
	}
}

// Two people who upload at the same time: the verdict that was written says
// whose files count.
func TestFiles_two(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id, path := d.byHand()
	second := d.instance()
	first := `{"decision":"done","files":[` + upload("a.txt", "text/plain", "the first") + `]}`
	other := `{"decision":"done","files":[` + upload("a.txt", "text/plain", "the second") + `]}`
	d.net.Break(faulty.Every("dynamodb.TransactWriteItems", faulty.Refused))
	d.ask("operator", "POST", path, first).want(503)
	second.ask("officer", "POST", path, other).want(200)
	d.net.Reset()
	d.ask("operator", "POST", path, first).want(409).says("decided already")
	if files := d.packed(id); files["files/archive/0001-a.txt"] != "the second" {
		t.Errorf("%v", files)
	}
}

func TestFiles_refused(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id, path := d.byHand()
	half := strings.Repeat("a", 3<<19)
	good := upload("a.txt", "text/plain", "a")
	for name, tt := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"other decision":  {`{"decision":"skip","why":"x","files":[` + good + `]}`, 400, "belong to the decision done"},
		"with evidence":   {`{"decision":"done","evidence":{"sha256":"` + strings.Repeat("a", 64) + `"},"files":[` + good + `]}`, 400, "give no other"},
		"too large":       {`{"decision":"done","files":[` + upload("a", "", half) + `,` + upload("b", "", half+"x") + `]}`, 413, "3145728 bytes together"},
		"too many":        {`{"decision":"done","files":[` + strings.Repeat(good+",", 10) + good + `]}`, 400, "at most 10"},
		"no name":         {`{"decision":"done","files":[{"content":"YQ=="}]}`, 400, "a file is"},
		"no content":      {`{"decision":"done","files":[{"name":"a"}]}`, 400, "a file is"},
		"name too long":   {`{"decision":"done","files":[` + upload(strings.Repeat("n", 256), "", "a") + `]}`, 400, "255 bytes"},
		"no media type":   {`{"decision":"done","files":[` + upload("a", "pdf", "a") + `]}`, 400, "media type"},
		"content no text": {`{"decision":"done","files":[{"name":"a","content":"%"}]}`, 400, "base64"},
		"unknown field":   {`{"decision":"done","files":[{"name":"a","content":"YQ==","path":"/etc"}]}`, 400, "a file is"},
	} {
		if a := d.ask("officer", "POST", path, tt.body); a.Status != tt.status || !strings.Contains(a.Body, tt.says) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if step := d.step(id); step.Phase != request.Asking {
		t.Errorf("%+v", step)
	}
	most := `{"decision":"done","files":[` + upload("a", "", half) + `,` + upload("b", "", half) + `]}`
	d.ask("operator", "POST", path, most).want(200)

	erasure := d.opened(nil)
	d.change(erasure, func(r *request.Request) { r.State, r.Epoch = request.Running, 1 })
	task := d.task(erasure, request.TaskManual, []request.Act{request.Done})
	d.ask("operator", "POST", "/requests/"+erasure+"/tasks/"+task, `{"decision":"done","files":[`+good+`]}`).want(400).says("belong to the export")
	if step := d.step(erasure); step.Upload != "" || step.Phase != request.Asking {
		t.Errorf("%+v", step)
	}
}
