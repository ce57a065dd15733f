package harness_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	phone "github.com/avow-consent/avow/internal/connector/whatsapp/fake"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/secret"
)

// talk is a company with a WhatsApp number, and somebody who writes to it.
type talk struct {
	*harness.World
	t     *testing.T
	phone *phone.Server
	who   company.Person
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	w := harness.New(t, harness.Options{Company: []string{vendors.WhatsApp}})
	c := &talk{w, t, w.Company.WhatsApp, company.People()[0]}
	if !c.phone.Subscribe(w.URL + "/webhooks/whatsapp") {
		t.Fatal("the webhook refuses its vendor")
	}
	return c
}

// writes and presses are what the person does, as far as it has got at once.
func (c *talk) writes(text string) {
	c.t.Helper()
	if !c.phone.Write(c.who.Phone, text) {
		c.t.Fatalf("nobody can write %q", text)
	}
	c.settle()
}

func (c *talk) presses(label string) {
	c.t.Helper()
	if !c.phone.Press(c.who.Phone, label) {
		c.t.Fatalf("there is no button %q", label)
	}
	c.settle()
}

// settle lets everybody do what is due at this moment.
func (c *talk) settle() {
	c.t.Helper()
	for range 3 {
		c.phone.Deliver()
		c.Propagate(c.t)
		c.Engine.RunUntilIdle(c.t.Context())
	}
}

// asks makes a request in the chat, and returns its id.
func (c *talk) asks(words string) string {
	c.t.Helper()
	c.Engine.Advance(c.t.Context(), time.Minute)
	c.writes(words)
	c.Engine.Advance(c.t.Context(), time.Minute)
	c.presses("Oui, c'est moi")
	last := c.last().Text
	at := strings.LastIndex(last, " ")
	id := last[at+1:]
	if r := get(c.t, c.World, id); !r.Identity.Proven() || r.Channel.System != vendors.WhatsApp {
		c.t.Fatalf("%+v", r)
	}
	return id
}

// runs lets time pass, with the schedules, until the request is in a state.
func (c *talk) runs(id, want string, step, limit time.Duration) {
	c.t.Helper()
	for end := c.Now().Add(limit); ; c.Engine.Advance(c.t.Context(), step) {
		c.settle()
		c.Sweep(c.t)
		c.settle()
		if state(c.t, c.World, id) == want {
			return
		}
		if c.Now().After(end) {
			c.t.Fatalf("the request is %s, not %s, after %v\n%s", state(c.t, c.World, id), want, limit, c.Log)
		}
	}
}

func (c *talk) inbox() []phone.Received { return c.phone.Inbox(c.who.Phone) }

func (c *talk) last() phone.Received {
	c.t.Helper()
	all := c.inbox()
	if len(all) == 0 {
		c.t.Fatal("the person has got nothing")
	}
	return all[len(all)-1]
}

// answers counts the answers that the person has got.
func (c *talk) answers(says string) (n int) {
	for _, got := range c.inbox() {
		if strings.Contains(got.Text, says) {
			n++
		}
	}
	return n
}

// log is the request's own.
func (c *talk) log(id string) []request.Entry {
	c.t.Helper()
	log, err := c.Store(c.t).Log(c.t.Context(), id, "", 200)
	if err != nil {
		c.t.Fatal(err)
	}
	return log
}

// settled lets a moment pass, in which the run learns what has become of the
// answer.
func (c *talk) settled(id string) {
	c.t.Helper()
	for range 2 {
		c.settle()
		c.Engine.Advance(c.t.Context(), 30*time.Second)
	}
	c.about(id, "answer")
}

// about finds the entry of the log about a letter's outcome, and its place.
func (c *talk) about(id, letter string) (request.Entry, int) {
	c.t.Helper()
	log := c.log(id)
	i := slices.IndexFunc(log, func(e request.Entry) bool {
		return e.Act == request.Letter && strings.HasPrefix(e.Detail["letter"], letter) && e.Detail["outcome"] != ""
	})
	if i < 0 {
		c.t.Fatalf("the log says nothing of the letter %s", letter)
	}
	return log[i], i
}

// An erasure that was asked for in the chat is answered there, before the chat is
// erased; and nothing is written there afterwards. Whoever has stopped marketing
// gets their answer all the same.
func TestChat_erasure(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		later    time.Duration // until an officer approves
		template string
		says     []string
	}{
		"within a day": {0, "", []string{"Vos données ont été effacées\n\nBonjour", "Messages (WhatsApp) : effacé dès que ce message sera parti"}},
		"later":        {30 * time.Hour, "avow_answer", []string{"Example SAS, au sujet de votre demande", "Vos données personnelles ont été effacées.", "CNIL, cnil.fr"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTalk(t)
			c.writes("STOP")
			id := c.asks("Supprimer mes données")
			c.runs(id, "waiting_approval", time.Minute, time.Hour)
			if got := c.last(); !strings.HasPrefix(got.Text, "Votre demande nous est parvenue\n\n") || !strings.Contains(got.Text, id) || got.Template != "" {
				t.Errorf("the acknowledgement: %+v", got)
			}
			c.Engine.Advance(t.Context(), tt.later)
			c.settle()
			approve(t, c.World, id)
			c.runs(id, "answered", time.Minute, time.Hour)
			c.settled(id)
			got := c.last()
			for _, says := range append(tt.says, id) {
				if !strings.Contains(got.Text, says) || got.Template != tt.template {
					t.Errorf("the answer by %q says %q", got.Template, got.Text)
				}
			}
			sent, at := c.about(id, "answer")
			erased := slices.IndexFunc(c.log(id), func(e request.Entry) bool { return e.Act == request.Start && e.System == vendors.WhatsApp })
			if sent.Detail["outcome"] != "sent" || erased < at {
				t.Errorf("the answer is entry %d of the log with %v, the chat's erasure %d", at, sent.Detail, erased)
			}
			if tt.template != "" && (sent.Detail["template"] != "avow_answer/fr" || sent.Detail["version"] != "2026-01" || sent.Detail["wording"] != phone.Answer["fr"].Body) {
				t.Errorf("the proof is %v", sent.Detail)
			}
			messages := len(c.inbox())
			c.runs(id, "closed", 6*time.Hour, 40*24*time.Hour)
			if len(c.inbox()) != messages || inMessages(t, c.World) != 0 {
				t.Errorf("after the answer came %d messages, and %d rows are left", len(c.inbox())-messages, inMessages(t, c.World))
			}
			certificate := c.Must(t, 200, c.Roles[keys.Viewer], "GET", "/requests/"+id+"/certificate", nil)
			if !strings.Contains(string(certificate.Body), vendors.WhatsApp) {
				t.Errorf("the certificate does not name the chat: %s", certificate.Body)
			}
			if len(c.Mails(t)) != 0 {
				t.Errorf("mails: %+v", c.Mails(t))
			}
			for _, text := range []string{string(certificate.Body), c.Log.String(), fmt.Sprintf("%+v", c.log(id))} {
				anonymous(t, "what stays", []byte(text))
			}
			for _, arn := range c.Engine.Executions() {
				d, _ := c.Engine.Describe(arn)
				anonymous(t, "an execution", []byte(fmt.Sprintf("%+v", d)))
			}
		})
	}
}

// released brings an access request to the moment after its release.
func (c *talk) released(id string, later time.Duration) {
	c.t.Helper()
	c.runs(id, "waiting_approval", time.Minute, time.Hour)
	approve(c.t, c.World, id)
	c.runs(id, "waiting_release", time.Minute, time.Hour)
	c.Engine.Advance(c.t.Context(), later)
	c.settle()
	pack := c.Must(c.t, 200, c.Roles[keys.Officer], "GET", "/requests/"+id+"/package", nil)
	c.Must(c.t, 200, c.Roles[keys.Officer], "POST", "/requests/"+id+"/release", map[string]any{"package": pack.Text("digest"), "why": "read"})
}

// link is the address in a message.
func link(text string) string {
	for _, word := range strings.Fields(text) {
		if strings.Contains(word, "/public/confirm/") {
			return word
		}
	}
	return ""
}

// The link to the package goes to the chat, as a text or by the template; so does
// a further one.
func TestChat_access(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		later    time.Duration
		template string
	}{"within a day": {}, "later": {25 * time.Hour, "avow_answer"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTalk(t)
			id := c.asks("Mes données")
			c.released(id, tt.later)
			c.runs(id, "answered", time.Minute, time.Hour)
			c.settled(id)
			got := c.last()
			if got.Template != tt.template {
				t.Errorf("the answer came by %q: %s", got.Template, got.Text)
			}
			if page := c.Follow(t, link(got.Text)); page.Status != 303 {
				t.Errorf("the link of %q: %d", got.Text, page.Status)
			}
			c.runs(id, "closed", 6*time.Hour, 40*24*time.Hour)
			if n := c.answers("/public/confirm/"); n != 1 {
				t.Errorf("%d answers", n)
			}
			anonymous(t, "the log", []byte(c.Log.String()))
			if token := link(got.Text)[strings.LastIndex(link(got.Text), "/")+1:]; strings.Contains(c.Log.String(), token) {
				t.Error("the link was logged")
			}
		})
	}
}

// configured changes what systems.json says of WhatsApp.
func (c *talk) configured(change func(config map[string]any)) {
	c.t.Helper()
	name := c.Env.Getenv("SYSTEMS_SECRET")
	text, err := secret.NewStore(c.Env.Config).Value(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		c.t.Fatal(err)
	}
	for _, one := range file["systems"].([]any) {
		change(one.(map[string]any)["config"].(map[string]any))
	}
	if text, err = json.Marshal(file); err != nil {
		c.t.Fatal(err)
	}
	_, err = secretsmanager.NewFromConfig(c.Env.Config).PutSecretValue(c.t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(name), SecretString: aws.String(string(text)),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.Engine.Advance(c.t.Context(), time.Minute)
}

// Where neither a text nor a template is possible, an operator writes to the
// person, and the chat is erased after that.
func TestChat_byHand(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*talk)
		why    string
	}{
		"no template": {func(c *talk) { c.configured(func(config map[string]any) { delete(config, "answer") }) }, "no_template"},
		"not in the language": {func(c *talk) {
			c.configured(func(config map[string]any) {
				delete(config["answer"].(map[string]any)["languages"].(map[string]any), "fr")
			})
		}, "no_template"},
		"not approved": {func(c *talk) {
			c.configured(func(config map[string]any) { config["answer"].(map[string]any)["template"] = "offer_draft" })
		}, "132001"},
		"too long": {func(c *talk) {
			c.configured(func(config map[string]any) {
				fr := config["answer"].(map[string]any)["languages"].(map[string]any)["fr"].(map[string]any)
				fr["body"] = fr["body"].(string) + strings.Repeat(" Merci.", 130)
			})
		}, "too_long"},
		"blocked": {func(c *talk) { c.phone.Shut(c.who.Phone) }, "131026"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTalk(t)
			id := c.asks("Supprimer mes données")
			c.runs(id, "waiting_approval", time.Minute, time.Hour)
			tt.change(c)
			c.Engine.Advance(t.Context(), 25*time.Hour)
			c.settle()
			approve(t, c.World, id)
			c.runs(id, "answered", time.Minute, time.Hour)
			c.settled(id)
			messages := len(c.inbox())
			tasks := c.Must(t, 200, c.Roles[keys.Operator], "GET", "/requests/"+id+"/tasks", nil) // the first is about the telephone number
			if why := tasks.Text("1.reason"); !strings.HasPrefix(why, "the letter answer cannot be sent") || !strings.Contains(why, tt.why) {
				t.Fatalf("%s", tasks.Body)
			}
			if inMessages(t, c.World) == 0 {
				t.Error("the chat is erased before the person was told")
			}
			c.Must(t, 200, c.Roles[keys.Operator], "POST", "/requests/"+id+"/tasks/"+tasks.Text("1.id"), map[string]any{"decision": "done", "why": "called"})
			c.runs(id, "closed", 6*time.Hour, 40*24*time.Hour)
			if inMessages(t, c.World) != 0 || len(c.inbox()) != messages {
				t.Errorf("%d rows are left, and %d messages came", inMessages(t, c.World), len(c.inbox())-messages)
			}
		})
	}
}

// A hold on the chat stops its erasure, and the answer waits with it, as that of
// any other system.
func TestChat_held(t *testing.T) {
	t.Parallel()
	c := newTalk(t)
	id := c.asks("Supprimer mes données")
	c.runs(id, "waiting_approval", time.Minute, time.Hour)
	officer := c.Roles[keys.Officer]
	c.Must(t, 200, officer, "POST", "/requests/"+id+"/hold", map[string]any{"systems": []string{vendors.WhatsApp}, "ground": "Art. 17(3)(e) GDPR", "reason": "a claim"})
	approve(t, c.World, id)
	for range 10 {
		c.Engine.Advance(t.Context(), 5*time.Hour)
		c.settle()
		c.Sweep(t)
	}
	if c.answers("effacées") != 0 || inMessages(t, c.World) == 0 {
		t.Fatal("the hold does not hold")
	}
	c.Must(t, 200, officer, "POST", "/requests/"+id+"/release", map[string]any{"hold": true, "why": "settled"})
	c.runs(id, "closed", 6*time.Hour, 40*24*time.Hour)
	if c.answers("effacées") != 1 || inMessages(t, c.World) != 0 {
		t.Errorf("%d answers, %d rows are left", c.answers("effacées"), inMessages(t, c.World))
	}
}

// A refusal goes to the chat, and the request is only forgotten when it is out.
func TestChat_refused(t *testing.T) {
	t.Parallel()
	c := newTalk(t)
	id := c.asks("Supprimer mes données")
	c.runs(id, "waiting_approval", time.Minute, time.Hour)
	c.Must(t, 200, c.Roles[keys.Officer], "POST", "/requests/"+id+"/extend", map[string]any{"reason": "many systems"})
	c.runs(id, "waiting_approval", time.Minute, time.Hour)
	if c.answers("many systems") != 1 {
		t.Errorf("the extension did not come: %+v", c.last())
	}
	c.Must(t, 200, c.Roles[keys.Officer], "POST", "/requests/"+id+"/refuse", map[string]any{"ground": "Art. 12(5)(b) GDPR", "reason": "the third this week"})
	for range 4 {
		c.settle()
		c.Sweep(t)
		c.Engine.Advance(t.Context(), 20*time.Minute)
	}
	if c.answers("Art. 12(5)(b) GDPR") != 1 {
		t.Errorf("the refusal did not come: %+v", c.last())
	}
	if known, err := c.Store(t).Known(t.Context(), id); err != nil || len(known) != 0 {
		t.Errorf("the request still knows %d identifiers, %v", len(known), err)
	}
}

// Whoever is given the number of somebody gets nothing of theirs: what they ask for
// waits until the company has found out who they are.
func TestChat_numberLeft(t *testing.T) {
	t.Parallel()
	c := newTalk(t)
	c.writes("STOP")
	c.Engine.Advance(t.Context(), time.Minute)
	heir, number := company.People()[1], c.who.Phone
	if !c.phone.Move(number, "+33655000999") {
		t.Fatal("nobody can move")
	}
	c.settle()
	c.Engine.Advance(t.Context(), time.Minute)
	if !c.phone.Move(heir.Phone, number) {
		t.Fatal("nobody can move")
	}
	c.settle()
	for _, word := range []string{"START", "Mes données"} {
		c.Engine.Advance(t.Context(), time.Minute)
		c.writes(word)
	}
	if c.phone.Press(number, "Oui, c'est moi") {
		t.Error("a button would prove it")
	}
	text := c.last().Text
	from, to := strings.LastIndex(text, "(")+1, strings.LastIndex(text, ")")
	if from <= 0 || to < from {
		t.Fatalf("%s", text)
	}
	id := text[from:to]
	for range 4 {
		c.Engine.Advance(t.Context(), 5*time.Minute)
		c.Sweep(t)
		c.settle()
	}
	if r := get(t, c.World, id); r.State != request.WaitingIdentity || r.Identity.Proven() || r.Package != nil {
		t.Errorf("%+v", r)
	}
	if c.answers("/public/confirm/") != 0 {
		t.Errorf("%+v", c.inbox())
	}
}

// Each call around the answer fails in each way, those of the run and those of who
// sends: it comes at most once, before the chat is erased, and where nobody knows
// whether it came, a person is asked.
func TestChat_faults(t *testing.T) {
	t.Parallel()
	const most, stride = 48, 9
	type breaks struct {
		begin func(c *talk, call int)
		calls func(c *talk) int // made since, the broken one among them
	}
	ways := map[string]breaks{}
	for _, kind := range harness.Kinds {
		ways["the run "+kind.String()] = breaks{
			func(c *talk, call int) { c.Break(harness.Schedule{Call: call, Kind: kind}) },
			func(c *talk) int { n, _ := c.Calls(); return n },
		}
	}
	for _, fault := range []faulty.Fault{faulty.Refused, faulty.Lost} {
		for name, of := range map[string]func(*talk) *faulty.Transport{
			"AWS": func(c *talk) *faulty.Transport { return c.Doors }, "vendor": func(c *talk) *faulty.Transport { return c.Vendor },
		} {
			ways["the sender, "+name+" "+fault.String()] = breaks{
				func(c *talk, call int) { of(c).Break(nth(call, fault)) },
				func(c *talk) int {
					defer of(c).Reset()
					return len(of(c).Calls())
				},
			}
		}
	}
	for i, name := range slices.Sorted(maps.Keys(ways)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTalk(t)
			way, begin, step := ways[name], 1, 1
			if testing.Short() {
				begin, step = 1+i%stride, stride
			}
			for call := begin; call <= most; call += step {
				c.who = company.People()[10+call]
				id := c.asks("Supprimer mes données")
				c.runs(id, "waiting_approval", time.Minute, time.Hour)
				approve(t, c.World, id)
				way.begin(c, call)
				c.erased(id)
				made := way.calls(c)
				c.Break(harness.Schedule{})
				c.once(id, fmt.Sprintf("call %d", call))
				if made < call {
					break
				}
			}
		})
	}
}

// erased plays a request until the chat is erased and certified, by whatever task
// comes up.
func (c *talk) erased(id string) {
	c.t.Helper()
	for range 100 {
		c.settle()
		if get(c.t, c.World, id).Certificate != nil {
			return
		}
		if !c.Act(c.t, id) {
			c.Engine.Advance(c.t.Context(), 5*time.Minute)
			c.Sweep(c.t)
		}
	}
	c.t.Fatalf("the chat is not erased\n%s", c.Log)
}

// once judges the answer to an erasure.
func (c *talk) once(id, when string) {
	c.t.Helper()
	tasks, err := c.Store(c.t).Tasks(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	asked := slices.ContainsFunc(tasks, func(task request.Task) bool {
		return strings.HasPrefix(task.Reason, "the letter answer cannot be sent")
	})
	if n := c.answers("Vos données ont été effacées"); n > 1 || n == 0 && !asked {
		c.t.Errorf("%s: %d answers, asked %v", when, n, asked)
	}
	known, started := false, false
	for _, e := range c.log(id) {
		known = known || e.Act == request.Letter && strings.HasPrefix(e.Detail["letter"], "answer") && e.Detail["outcome"] != ""
		if e.Act == request.Start && e.System == vendors.WhatsApp && e.Detail["operation"] == string(connector.Erase) && !started {
			started = true
			if !known {
				c.t.Errorf("%s: the chat was erased before the outcome of the answer was known", when)
			}
		}
	}
}
