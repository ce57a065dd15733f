package harness_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
)

// planted is personal data that no log, name, history or certificate may hold.
var planted = []string{
	"Philomena.Quackenbush@Example.test", "Philomena Quackenbush", "Quackenbush", "+33 6 39 98 12 34", "+33639981234", "crm-7716-philomena",
}

// disguises are the forms in which a text may slip through: as it is, in lower
// case, for a URL, in base64 at each alignment, in hex, and hashed without a key.
func disguises(text string) []string {
	var list []string
	for _, t := range []string{text, strings.ToLower(text)} {
		list = append(list, t, url.QueryEscape(t), url.PathEscape(t), hex.EncodeToString([]byte(t)))
		for shift := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + t))
			list = append(list, strings.TrimRight(encoded, "=")[min(4, len(encoded)):max(4, len(strings.TrimRight(encoded, "="))-2)])
		}
		s256, s1, m5 := sha256.Sum256([]byte(t)), sha1.Sum([]byte(t)), md5.Sum([]byte(t))
		for _, sum := range [][]byte{s256[:], s1[:], m5[:]} {
			list = append(list, hex.EncodeToString(sum), base64.StdEncoding.EncodeToString(sum), base64.RawURLEncoding.EncodeToString(sum))
		}
	}
	return list
}

// leaks finds planted data in a text.
func leaks(where, text string) []string {
	var found []string
	lower := strings.ToLower(text)
	for _, p := range planted {
		for _, d := range disguises(p) {
			if strings.Contains(text, d) || strings.Contains(lower, strings.ToLower(d)) {
				found = append(found, fmt.Sprintf("%s holds %q as %q", where, p, d))
			}
		}
	}
	return found
}

// The grep catches what it looks for.
func TestLeaks(t *testing.T) {
	t.Parallel()
	for _, d := range disguises("Philomena.Quackenbush@Example.test") {
		if len(leaks("text", "before "+d+" after")) == 0 {
			t.Errorf("%q is not found", d)
		}
	}
	if found := leaks("text", `{"request":"019cadc6-9a80-7fe3-9a55-153fc9b53210","state":"closed"}`); found != nil {
		t.Error(found)
	}
}

// Requests of a person whose every word is planted: nothing of it is in logs,
// executions, their names and histories, certificates, keys of objects, or in
// what is left of a request when it is closed.
func TestPrivacy(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{})
	email, name, phone := planted[0], planted[1], planted[3]
	person := func(kind string, more map[string]any) string {
		body := map[string]any{"subject": map[string]any{"email": email, "phone": phone, "external_id": planted[5]}, "message": "I am " + name}
		for k, v := range more {
			body[k] = v
		}
		return open(t, w, kind, body)
	}
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{
		"subject":     map[string]any{"id": planted[5], "email": email, "full_name": name, "phones": []any{map[string]any{"number": phone}}},
		"preferences": map[string]any{"newsletter": true},
		"proofs":      []any{map[string]any{"content": `{"email":"` + email + `"}`, "form": "<form>" + name + "</form>"}},
	})
	user := w.Desk.AddUser(fake.User{Name: name, Email: email, Phone: phone, Verified: true})
	w.Desk.AddTicket(user, "From "+name, "Call me: "+phone, "closed")
	w.Engine.Advance(t.Context(), time.Hour)

	w.Desk.Fail(fakekit.Failure{Status: 400, Times: 2, HTML: true}) // vendors quote people in their errors
	access := person("access", nil)
	w.Play(t, access, limit)
	rectified := person("rectification", map[string]any{"changes": []any{map[string]any{"field": "full_name", "old": name, "new": "P. " + name}}})
	w.Play(t, rectified, limit)
	w.Do(t, w.Public, "POST", "/public/requests", map[string]any{"type": "objection", "email": email, "name": name})
	erased := person("erasure", nil)
	w.Play(t, erased, limit)
	w.Do(t, w.Roles[keys.Viewer], "GET", "/requests/"+email, nil)
	w.Do(t, w.Roles[keys.Viewer], "GET", "/requests?identifier[kind]=email&identifier[value]="+url.QueryEscape(email), nil)

	found := leaks("the log", w.Log.String())
	for _, arn := range w.Engine.Executions() {
		d, _ := w.Engine.Describe(arn)
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, leaks("execution "+d.Name, arn+string(text))...)
	}
	for _, accept := range []string{"", "?format=html"} {
		found = append(found, leaks("the certificate", string(w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+erased+"/certificate"+accept, nil).Body))...)
	}
	found = append(found, keysOfObjects(t, w)...)
	for _, id := range []string{access, rectified, erased} {
		found = append(found, leftOf(t, w, id)...)
		found = append(found, leaks("the log of a request", string(w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+id+"/log", nil).Body))...)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// keysOfObjects are leaks in the names of objects.
func keysOfObjects(t *testing.T, w *harness.World) []string {
	t.Helper()
	client := s3.NewFromConfig(w.Env.Config, func(o *s3.Options) { o.UsePathStyle = true })
	var found []string
	for _, bucket := range []string{w.Env.Getenv("PROOFS_BUCKET"), w.Env.Getenv("PACKAGES_BUCKET")} {
		out, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Versions {
			found = append(found, leaks("an object's name", *v.Key)...)
		}
	}
	return found
}

// leftOf are leaks in the rows that a closed request has left.
func leftOf(t *testing.T, w *harness.World, id string) []string {
	t.Helper()
	table := w.Env.Getenv("REQUESTS_TABLE")
	out, err := dynamodb.NewFromConfig(w.Env.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, row := range out.Items {
		text := fmt.Sprintf("%+v", values(row))
		if strings.Contains(text, id) {
			found = append(found, leaks("a row of a closed request", text)...)
		}
	}
	return found
}

// values shows a row with the texts in it.
func values(row map[string]types.AttributeValue) map[string]string {
	shown := map[string]string{}
	for name, v := range row {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			shown[name] = v.Value
		case *types.AttributeValueMemberN:
			shown[name] = v.Value
		default:
			shown[name] = fmt.Sprintf("%+v", v)
		}
	}
	return shown
}
