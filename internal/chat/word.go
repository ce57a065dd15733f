package chat

import (
	"strings"
	"unicode"

	"github.com/avow-consent/avow/internal/identity"
)

// Word is what a message means that is nothing but a keyword.
type Word string

// The meanings.
const (
	Stop   Word = "stop"   // no more messages
	Start  Word = "start"  // messages again, please
	Yes    Word = "yes"    // an answer: it means nothing where nothing was asked
	Erase  Word = "erase"  // Art. 17 GDPR
	Access Word = "access" // Art. 15
)

// words are all keywords, as identity.Bare has them, by language; "" is more
// than one. Meta acts on none of them: whoever sends marketing must.
var words = map[string]map[string]Word{
	"": {"stop": Stop, "stop all": Stop},
	"en": {
		"unsubscribe": Stop, "stop promotions": Stop, "cancel": Stop, "end": Stop, "quit": Stop, "start": Start, "unstop": Start, "yes": Yes,
		"delete my data": Erase, "erase my data": Erase, "delete all my data": Erase,
		"my data": Access, "send me my data": Access, "access my data": Access, "access to my data": Access,
	},
	"fr": {
		"arret": Stop, "desabonner": Stop, "desinscrire": Stop, "oui": Yes,
		"supprimer mes donnees": Erase, "supprimez mes donnees": Erase, "effacer mes donnees": Erase, "effacez mes donnees": Erase,
		"mes donnees": Access, "envoyez moi mes donnees": Access, "acceder a mes donnees": Access, "acces a mes donnees": Access,
	},
}

// longestWord is longer than any keyword, in bytes; a longer message is none.
const longestWord = 80

// Keyword finds the meaning of a message. The whole message must be the keyword,
// whatever its case, accents, spaces and closing punctuation: "don't stop" stops
// nothing. language is that of the keyword, "" where it tells none.
func Keyword(message string) (w Word, language string) {
	if len(message) > longestWord {
		return "", ""
	}
	bare := strings.Join(strings.FieldsFunc(identity.Bare(message), func(r rune) bool {
		return unicode.IsSpace(r) || r == '-' || r == '\u2011'
	}), " ")
	bare = strings.TrimRightFunc(bare, func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsSpace(r) })
	for language, of := range words {
		if w, ok := of[bare]; ok {
			return w, language
		}
	}
	return "", ""
}
