package inventory

import "strings"

// countries are names under which notices speak of countries outside the
// European Economic Area, by ISO 3166 code: the first is how findings call it.
var countries = map[string]map[string][]string{
	"AU": {"en": {"Australia"}, "fr": {"Australie"}},
	"BR": {"en": {"Brazil"}, "fr": {"Brésil"}},
	"CA": {"en": {"Canada"}, "fr": {"Canada"}},
	"CH": {"en": {"Switzerland"}, "fr": {"Suisse"}},
	"GB": {"en": {"United Kingdom", "UK", "Great Britain"}, "fr": {"Royaume-Uni", "Grande-Bretagne"}},
	"IL": {"en": {"Israel"}, "fr": {"Israël"}},
	"IN": {"en": {"India"}, "fr": {"Inde"}},
	"JP": {"en": {"Japan"}, "fr": {"Japon"}},
	"KR": {"en": {"South Korea", "Republic of Korea"}, "fr": {"Corée du Sud", "République de Corée"}},
	"MA": {"en": {"Morocco"}, "fr": {"Maroc"}},
	"NZ": {"en": {"New Zealand"}, "fr": {"Nouvelle-Zélande"}},
	"PH": {"en": {"Philippines"}, "fr": {"Philippines"}},
	"SG": {"en": {"Singapore"}, "fr": {"Singapour"}},
	"TN": {"en": {"Tunisia"}, "fr": {"Tunisie"}},
	"US": {"en": {"United States", "USA", "U.S."}, "fr": {"États-Unis", "USA"}},
	"ZA": {"en": {"South Africa"}, "fr": {"Afrique du Sud"}},
}

// regions are the countries of cloud regions, by the beginning of their names.
var regions = []struct{ begin, country string }{
	{"us-", "US"}, {"ca-", "CA"}, {"sa-east-1", "BR"}, {"eu-west-2", "GB"}, {"eu-central-2", "CH"}, {"il-", "IL"}, {"af-", "ZA"},
	{"ap-south-", "IN"}, {"ap-northeast-1", "JP"}, {"ap-northeast-2", "KR"}, {"ap-northeast-3", "JP"}, {"ap-southeast-1", "SG"}, {"ap-southeast-2", "AU"},
	{"ap-southeast-4", "AU"}, {"ap-southeast-6", "NZ"},
}

// countryNames are the names of the country of a region, in a language or else
// in English; the region itself where its country is not known here.
func countryNames(region, language string) []string {
	code := strings.ToUpper(region)
	for _, r := range regions {
		if strings.HasPrefix(strings.ToLower(region), r.begin) {
			code = r.country
		}
	}
	names, ok := countries[code]
	if !ok {
		return []string{region}
	}
	if main, _, _ := strings.Cut(strings.ToLower(language), "-"); main == "fr" {
		return names["fr"]
	}
	return names["en"]
}
