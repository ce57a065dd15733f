// Package demo is a small website for the local stack: the sign-up form of a fictitious shop and the page on which its
// customers see and change what they agreed to, in French and in English. It uses avow.js and avow-preferences.js
// exactly as a real site would.
package demo

import (
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/text/language"

	"github.com/avow-consent/avow/internal/snippet"
)

// Config says which API the pages talk to.
type Config struct {
	API       string // base URL of the API, which also serves /avow.js
	PublicKey string // the site's public key; a browser sees it, it can only append
	// SubjectToken signs a token for a subject id, as the shop's back end; "" when it has no secret to sign with.
	SubjectToken func(subjectID string) string
}

//go:embed static
var static embed.FS

//go:embed page.html
var pageHTML string

//go:embed notice.html
var noticeHTML string

//go:embed preferences.html
var preferencesHTML string

var (
	pageTemplate        = template.Must(template.New("page").Parse(pageHTML))
	noticeTemplate      = template.Must(template.New("notice").Parse(noticeHTML))
	preferencesTemplate = template.Must(template.New("preferences").Parse(preferencesHTML))
	matcher             = language.NewMatcher([]language.Tag{language.English, language.French})
)

// Handler serves the shop: / by the browser's language, /en, /fr, the notices below them, and the static files.
func Handler(cfg Config) http.Handler {
	cfg.API = strings.TrimRight(cfg.API, "/")
	s := &site{cfg: cfg, policy: contentPolicy(cfg.API)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /{lang}", s.page)
	mux.HandleFunc("POST /{lang}", s.withoutScript)
	mux.HandleFunc("GET /{lang}/notices/{identifier}", s.notice)
	for lang := range texts {
		mux.HandleFunc("GET /"+lang+"/preferences", s.preferences(lang))
		mux.HandleFunc("POST /"+lang+"/preferences", s.preferences(lang))
	}
	mux.HandleFunc("GET /static/{file}", files(static, "static/"))
	mux.HandleFunc("GET /scripts/{file}", files(snippet.Files(), ""))
	return mux
}

type site struct {
	cfg    Config
	policy string
}

// contentPolicy allows the page its own files and the API, and nothing inline.
func contentPolicy(api string) string {
	origin := api
	if u, err := url.Parse(api); err == nil && u.Host != "" {
		origin = u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; script-src 'self' " + origin + "; connect-src " + origin +
		"; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	lang := "en"
	if _, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language")); i == 1 {
		lang = "fr"
	}
	w.Header().Set("Vary", "Accept-Language")
	http.Redirect(w, r, "/"+lang, http.StatusFound)
}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	lang := r.PathValue("lang")
	t, ok := texts[lang]
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.render(w, pageTemplate, struct {
		Config
		Lang string
		T    text
	}{s.cfg, lang, t})
}

// withoutScript takes the form of a browser that runs no scripts: nothing could be recorded, so nothing is kept.
func (s *site) withoutScript(w http.ResponseWriter, r *http.Request) {
	if _, ok := texts[r.PathValue("lang")]; !ok {
		http.NotFound(w, r)
		return
	}
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
}

// preferences shows the preference centre: of a person who has just signed up, else the form that asks for a link. A
// shop knows who is there from its session; this one has no accounts, and believes the form.
func (s *site) preferences(lang string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		subject, token := r.PostFormValue("subject_id"), ""
		if subject != "" && s.cfg.SubjectToken != nil {
			token = s.cfg.SubjectToken(subject)
		}
		s.render(w, preferencesTemplate, struct {
			Config
			Lang           string
			T              text
			Subject, Token string
		}{s.cfg, lang, texts[lang], subject, token})
	}
}

func (s *site) notice(w http.ResponseWriter, r *http.Request) {
	lang := r.PathValue("lang")
	t, ok := texts[lang]
	if !ok {
		http.NotFound(w, r)
		return
	}
	for _, n := range Notices() {
		if n.Identifier != r.PathValue("identifier") {
			continue
		}
		title, body, _ := strings.Cut(n.Content[lang], "\n\n")
		s.render(w, noticeTemplate, struct {
			Lang, Title string
			Paragraphs  []paragraph
			T           text
		}{lang, title, paragraphs(body), t})
		return
	}
	http.NotFound(w, r)
}

// paragraph is one of a notice's; its first sentence is its heading when it is only a few words.
type paragraph struct{ Head, Text string }

func paragraphs(body string) []paragraph {
	var list []paragraph
	for p := range strings.SplitSeq(body, "\n\n") {
		if head, rest, found := strings.Cut(p, ". "); found && len(strings.Fields(head)) <= 4 {
			list = append(list, paragraph{head + ".", rest})
			continue
		}
		list = append(list, paragraph{Text: p})
	}
	return list
}

// files serves the files of a folder. The scripts beside avow.js are among them: a real site has them on its own host.
func files(folder fs.FS, prefix string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, folder, prefix+r.PathValue("file"))
	}
}

func (s *site) render(w http.ResponseWriter, t *template.Template, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("Cache-Control", "no-store")
	if err := t.Execute(w, data); err != nil {
		slog.Error("rendering the demo page", "err", err)
	}
}
