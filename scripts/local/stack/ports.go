package stack

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
)

// ports are what the stack listened on last time: a page or script that knows
// them goes on working after a restart.
type ports struct {
	API    int            `json:"api"`
	Demo   int            `json:"demo"`
	Mail   int            `json:"mail"`
	Engine int            `json:"engine"`
	Fakes  map[string]int `json:"fakes,omitempty"`
}

// The first choice of a checkout that has never run.
const (
	apiPort      = 8080
	demoPort     = 8081
	mailPort     = 8082
	fakePort     = 8090 // of the first fake; the others follow
	emulatorPort = 4566
	enginePort   = 4601
)

// doors are the listeners of the stack. They are open before functions start,
// which are told of their addresses.
type doors struct {
	api, demo, mail net.Listener
	fakes           map[string]net.Listener
	last            ports
}

func open(local paths, fakes map[string]Fake) (*doors, error) {
	d := &doors{fakes: map[string]net.Listener{}}
	_ = readJSON(local.ports(), &d.last)
	var failed error
	take := func(last, usual int) net.Listener {
		l, err := listen(last, usual)
		failed = errors.Join(failed, err)
		return l
	}
	d.api, d.demo, d.mail = take(d.last.API, apiPort), take(d.last.Demo, demoPort), take(d.last.Mail, mailPort)
	for i, name := range slices.Sorted(maps.Keys(fakes)) {
		d.fakes[name] = take(d.last.Fakes[name], fakePort+i)
	}
	if failed != nil {
		d.close()
		return nil, failed
	}
	return d, nil
}

// close closes what is not served already.
func (d *doors) close() {
	all := slices.Collect(maps.Values(d.fakes))
	for _, l := range append(all, d.api, d.demo, d.mail) {
		if l != nil {
			l.Close()
		}
	}
}

// urls are the addresses of the fakes.
func (d *doors) urls() map[string]string {
	all := map[string]string{}
	for name, l := range d.fakes {
		all[name] = url(l)
	}
	return all
}

func (d *doors) ports(m *machines) ports {
	p := ports{API: port(d.api), Demo: port(d.demo), Mail: port(d.mail), Engine: m.port(), Fakes: map[string]int{}}
	for name, l := range d.fakes {
		p.Fakes[name] = port(l)
	}
	return p
}

// listen takes the port of last time, else the usual one, else any.
func listen(last, usual int) (net.Listener, error) {
	var failed error
	for _, port := range []int{cmp.Or(last, usual), usual, 0} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l, nil
		}
		failed = err
	}
	return nil, failed
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func url(l net.Listener) string { return fmt.Sprintf("http://127.0.0.1:%d", port(l)) }
