package harness_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	genesys "github.com/avow-consent/avow/internal/connector/genesys/fake"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
)

// archive is a system that only people reach, beside those of the vendors.
const archive = `[{"name":"archive","kind":"manual","region":"FR","title":{"en":"Paper archive","fr":"Archives papier"},"data":[{
	"name":{"en":"Letters","fr":"Courriers"},"purpose":{"en":"Customer support","fr":"Assistance"},"retention":{"en":"2 years","fr":"2 ans"}}]}]`

// everywhere is a company with all systems, in each of which Ines is.
func everywhere(t *testing.T) *harness.World {
	t.Helper()
	w := harness.New(t, harness.Options{Company: vendors.All, Systems: archive})
	consents(t, w, "ines", ines)
	phone := w.Company.WhatsApp
	if !phone.Subscribe(w.URL+"/webhooks/whatsapp") || !phone.Write(company.People()[0].Phone, "START") {
		t.Fatal("the webhook refuses its vendor")
	}
	for phone.Waiting() > 0 {
		phone.Deliver()
	}
	return w
}

// chats is Ines as somebody whose number in WhatsApp was checked.
func chats() map[string]any {
	return map[string]any{"subject": map[string]any{
		"email": ines, "identifiers": []any{map[string]any{"kind": vendors.WhatsApp + ".address", "value": company.People()[0].Phone}},
	}}
}

// inMessages counts the rows about WhatsApp that hold the number of Ines.
func inMessages(t testing.TB, w *harness.World) (n int) {
	t.Helper()
	out, err := dynamodb.NewFromConfig(w.Env.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(w.Env.Getenv("MESSAGES_TABLE"))})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range out.Items {
		for _, value := range row {
			if text, ok := value.(*types.AttributeValueMemberS); ok && strings.Contains(text.Value, company.People()[0].Phone) {
				n++
			}
		}
	}
	return n
}

// held counts what each vendor still holds of the customer n of the company, by
// what the fakes themselves say.
func held(w *harness.World, n int) map[string]int {
	p, v := company.People()[n], w.Company
	count := map[string]int{vendors.Chat: len(v.Chat.Find(p.Email))}
	if v.Messaging.Find(p.Email) != "" {
		count[vendors.Messaging]++
	}
	if v.Support.Find(p.Email) != 0 {
		count[vendors.Support]++
	}
	v.Genesys.Change(func(d *genesys.Data) {
		for _, s := range d.Subjects {
			if slices.Contains(s.EmailAddresses, p.Email) {
				count[vendors.Genesys]++
			}
		}
	})
	zoom := v.Zoom.State()
	for _, r := range zoom.Registrants {
		count[vendors.Zoom] += theirs(p, r.Email)
	}
	for _, r := range zoom.Panelists {
		count[vendors.Zoom] += theirs(p, r.Email)
	}
	for _, r := range zoom.Calls {
		count[vendors.Zoom] += theirs(p, r.Email)
	}
	for _, r := range v.Salesforce.State() {
		for _, value := range r.Fields {
			if text, ok := value.(string); ok && theirs(p, text) > 0 {
				count[vendors.Salesforce]++
				break
			}
		}
	}
	maps.DeleteFunc(count, func(_ string, n int) bool { return n == 0 })
	return count
}

func theirs(p company.Person, text string) int {
	if strings.EqualFold(text, p.Email) {
		return 1
	}
	return 0
}

// stages are the systems of a plan by stage.
func stages(t testing.TB, plan harness.Answer) (list [][]string) {
	t.Helper()
	var body struct {
		Stages [][]struct{ System string }
	}
	if err := json.Unmarshal(plan.Body, &body); err != nil {
		t.Fatal(err)
	}
	for _, stage := range body.Stages {
		var names []string
		for _, s := range stage {
			names = append(names, s.System)
		}
		list = append(list, names)
	}
	return list
}

// One request goes through all systems in the order that follows from what they
// say, and nothing of the person is left where a vendor can delete it.
func TestSystems_erasure(t *testing.T) {
	t.Parallel()
	w := everywhere(t)
	others := map[int]map[string]int{}
	for n := 1; n < 10; n++ {
		others[n] = held(w, n)
	}
	if got := slices.Sorted(maps.Keys(held(w, 0))); len(got) != len(w.Company.Fakes())-1 { // what WhatsApp is about stands in Avow itself
		t.Fatalf("before the request only %v know the person", got)
	}
	if inMessages(t, w) == 0 {
		t.Fatal("Avow holds nothing of her chat")
	}
	id := open(t, w, "erasure", chats())
	until(t, w, id, "waiting_approval", 24*time.Hour)
	got := stages(t, w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/plan", nil))
	want := [][]string{
		{"archive", vendors.Genesys, "ledger", vendors.Salesforce, vendors.Chat, vendors.Zoom},
		{vendors.Message, vendors.Messaging},
		{vendors.Support},
		{vendors.WhatsApp},
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the plan's stages are %v", got)
	}
	w.Play(t, id, 90*24*time.Hour)
	if r := get(t, w, id); r.State != request.Closed {
		t.Fatalf("the request is %s", r.State)
	}
	if left := held(w, 0); len(left) > 0 {
		t.Errorf("left of the person: %v", left)
	}
	if rows := inMessages(t, w); rows != 0 {
		t.Errorf("%d rows of WhatsApp hold her number", rows)
	}
	for n, before := range others {
		if after := held(w, n); !maps.Equal(before, after) {
			t.Errorf("customer %d had %v and has %v", n, before, after)
		}
	}
	certificate := w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+id+"/certificate", nil)
	anonymous(t, "the certificate", certificate.Body)
	anonymous(t, "the functions' log", []byte(w.Log.String()))
	for _, arn := range w.Engine.Executions() {
		d, _ := w.Engine.Describe(arn)
		anonymous(t, "an execution", []byte(fmt.Sprintf("%+v", d)))
	}
	for name, fake := range w.Company.Fakes() {
		if n := fake.Beyond(); n > 0 {
			t.Errorf("%s: %d calls beyond a limit", name, n)
		}
	}
}

// anonymous fails the test when a text holds personal data of Ines.
func anonymous(t testing.TB, what string, text []byte) {
	t.Helper()
	p := company.People()[0]
	for _, planted := range []string{p.Email, p.Family, p.Phone, strings.TrimPrefix(p.Phone, "+"), p.ExternalID, fmt.Sprint(p.ZendeskID()), company.Chat} {
		if bytes.Contains(bytes.ToLower(text), []byte(strings.ToLower(planted))) {
			t.Errorf("%s holds %q", what, planted)
		}
	}
}

// An access request brings what each system holds into one package, and changes
// nothing.
func TestSystems_access(t *testing.T) {
	t.Parallel()
	w := everywhere(t)
	before := held(w, 0)
	id := open(t, w, "access", chats())
	until(t, w, id, "waiting_approval", 24*time.Hour)
	approve(t, w, id)
	w.Engine.RunUntilIdle(t.Context())
	done(t, w, id, "archive")
	done(t, w, id, vendors.Message)
	until(t, w, id, "waiting_release", 10*24*time.Hour) // one file is on a host that is gone
	pack := w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/package", nil)
	w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/release", map[string]any{"package": pack.Text("digest"), "why": "read"})
	until(t, w, id, "answered", time.Hour)
	files := map[string]string{}
	for _, f := range download(t, w) {
		body, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	for _, name := range slices.Concat([]string{"ledger"}, slices.Collect(maps.Keys(w.Company.Fakes()))) {
		mark := map[bool]string{true: company.People()[0].Phone, false: ines}[name == vendors.WhatsApp]
		if text := files["data/"+name+".json"]; !strings.Contains(strings.ToLower(text), mark) {
			t.Errorf("the package has nothing of %s: %d bytes in %v", name, len(text), slices.Sorted(maps.Keys(files)))
		}
	}
	if after := held(w, 0); !maps.Equal(before, after) {
		t.Errorf("the vendors had %v and have %v", before, after)
	}
	for name, fake := range w.Company.Fakes() {
		for _, c := range fake.Calls() {
			reads := c.Method == http.MethodGet ||
				strings.Contains(c.Path, "/composite/sobjects/") || // Salesforce: records by their ids
				strings.HasSuffix(c.Path, "/gdpr/requests") // Genesys: an export is a request
			if !reads {
				t.Errorf("%s: an export makes %s %s", name, c.Method, c.Path)
			}
		}
	}
}

// download follows the link of the last letter to the person.
func download(t testing.TB, w *harness.World) []*zip.File {
	t.Helper()
	got := w.Follow(t, w.LastMail(t, ines).Link())
	response, err := http.Get(got.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return z.File
}

// What a full search costs: calls of each vendor until there is a plan.
// Deterministic.
func TestSystems_calls(t *testing.T) {
	t.Parallel()
	w := everywhere(t)
	id := open(t, w, "access", chats())
	until(t, w, id, "waiting_approval", 24*time.Hour)
	got, sum := map[string]int{}, 0
	for name, fake := range w.Company.Fakes() {
		got[name] = len(fake.Calls())
		sum += got[name]
	}
	t.Logf("a search in all systems takes %d calls of vendors: %v", sum, got)
	want := map[string]int{vendors.Chat: 14, vendors.Messaging: 17, vendors.Support: 33, vendors.Genesys: 7, vendors.Zoom: 155, vendors.Salesforce: 56, vendors.WhatsApp: 0}
	if !maps.Equal(got, want) {
		t.Errorf("want %v", want)
	}
}
