//! The four interfaces, as the network configuration calls them.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::sync::atomic::Ordering;

use netcfg::{Guid, Topology, Value, device_name};
use windows::Win32::NetworkManagement::NetManagement::{
    INetCfg, INetCfgComponent, INetCfgComponentControl, INetCfgComponentNotifyBinding,
    INetCfgComponentNotifyGlobal, INetCfgComponentSetup, NCN_ADD, NCN_BINDING_PATH, NCN_ENABLE,
    NCN_REMOVE, NETCFG_S_DISABLE_QUERY,
};
use windows::core::{HRESULT, Interface, Result};

use crate::dll::{Dll, count};
use crate::run::{Args, Tally};
use crate::script::{Callback, Cfg, Component, Path};
use crate::world::{FIRST, LIVE, OWN, PACER, SECOND, TCPIP, WIFI, World};

const ADD: u32 = (NCN_ADD.0 | NCN_ENABLE.0) as u32;
const REMOVE: u32 = NCN_REMOVE.0 as u32;
const ABORTED: HRESULT = HRESULT(0x8000_4004_u32.cast_signed());

/// A notify object with the scripted configuration that it was initialised with.
struct Object {
    world: Rc<World>,
    control: INetCfgComponentControl,
    setup: INetCfgComponentSetup,
    binding: INetCfgComponentNotifyBinding,
    global: INetCfgComponentNotifyGlobal,
    _cfg: INetCfg,
    _component: INetCfgComponent,
}

impl Object {
    fn new(dll: &Dll, world: &Rc<World>, installing: bool) -> Result<Self> {
        let control: INetCfgComponentControl = dll.create()?.cast()?;
        let (cfg, component) = (Cfg::new(world), Component::of(world, OWN));
        let component = component.ok_or_else(windows::core::Error::empty)?;
        // SAFETY: scripted objects, which behave.
        unsafe { control.Initialize(&component, &cfg, installing) }?;
        Ok(Self {
            setup: control.cast()?,
            binding: control.cast()?,
            global: control.cast()?,
            control,
            world: world.clone(),
            _cfg: cfg,
            _component: component,
        })
    }

    /// The answer to a binding: whether it may be.
    fn query(&self, upper: Guid, lower: Guid) -> Option<bool> {
        let path = Path::new(&self.world, upper, lower);
        // SAFETY: a scripted path. Through the tables for their success codes.
        let code = unsafe {
            if upper == OWN {
                let query = Interface::vtable(&self.binding).QueryBindingPath;
                query(
                    Interface::as_raw(&self.binding),
                    ADD,
                    Interface::as_raw(&path),
                )
            } else {
                let query = Interface::vtable(&self.global).SysQueryBindingPath;
                query(
                    Interface::as_raw(&self.global),
                    ADD,
                    Interface::as_raw(&path),
                )
            }
        };
        match code {
            HRESULT(0) => Some(true),
            NETCFG_S_DISABLE_QUERY => Some(false),
            _ => None,
        }
    }

    /// What Windows does with a binding of ours that comes: it asks, enables, and tells.
    fn bind(&self, lower: Guid) -> Result<()> {
        if self.query(OWN, lower) == Some(true) {
            self.world.set_enabled(OWN, lower, true);
        }
        self.notify(ADD, lower)
    }

    fn notify(&self, flags: u32, lower: Guid) -> Result<()> {
        let path = Path::new(&self.world, OWN, lower);
        // SAFETY: a scripted path.
        unsafe { self.binding.NotifyBindingPath(flags, &path) }
    }

    fn apply(&self) -> Result<()> {
        // SAFETY: methods of an initialised object, a scripted callback.
        unsafe {
            self.control.ApplyRegistryChanges()?;
            self.control.ApplyPnpChanges(&Callback::new(&self.world))
        }
    }

    fn cancel(&self) {
        // SAFETY: a method of an initialised object.
        let _ = unsafe { self.control.CancelChanges() };
    }

    fn removing(&self) -> Result<()> {
        // SAFETY: a method of an initialised object.
        unsafe { self.setup.Removing() }
    }

    fn end(self, tally: &Tally, what: &str) {
        let Self {
            control,
            setup,
            binding,
            global,
            ..
        } = self;
        drop((setup, binding, global));
        tally.equal(
            &count(control),
            &0,
            &format!("references to the object after {what}"),
        );
    }
}

/// A plan over the first two adapters, as it is remembered before its miniports are made.
pub fn plan(args: &Args, wait: u32) -> String {
    let (miniports, first, second) = match args.driver.topology {
        Topology::OneToOne => (r#"{"name":"A"},{"name":"B"}"#, r#""A""#, r#""B""#),
        Topology::OneToMany => (
            r#"{"name":"A"},{"name":"B","values":{"VlanID":"7"}},{"name":"C"}"#,
            r#""A","B""#,
            r#""C""#,
        ),
        Topology::ManyToOne => (r#"{"name":"A"}"#, r#""A""#, r#""A""#),
    };
    format!(
        r#"{{"format":1,"driver":"{}","confirm_within":{wait},"accept":["only-adapter"],"miniports":[{miniports}],
        "adapters":[{{"adapter":"{FIRST}","miniports":[{first}],"values":{{"Mode":2}}}},{{"adapter":"{SECOND}","miniports":[{second}]}}]}}"#,
        args.driver.name
    )
}

fn remember(world: &World, args: &Args) {
    if let Some(key) = world.key(OWN) {
        let record = netcfg::Plan::read(plan(args, 0).as_bytes(), &args.driver)
            .ok()
            .map(|plan| netcfg::Record {
                plan,
                ..netcfg::Record::default()
            });
        let text = serde_json::to_string(&record).unwrap_or_default();
        let _ = key.set("NotifyObject", &Value::Text(text));
    }
}

/// The lists of devices have the topology's shape.
pub fn shape(world: &World, args: &Args, tally: &Tally) {
    let list = |adapter| match world.below(adapter, "UpperBindings") {
        Some(Value::List(list)) => list,
        _ => alloc::vec::Vec::new(),
    };
    let (first, second) = (list(FIRST), list(SECOND));
    let wanted = match args.driver.topology {
        Topology::OneToOne => (1, 1, 2),
        Topology::OneToMany => (2, 1, 3),
        Topology::ManyToOne => (1, 1, 1),
    };
    let miniports = world.miniports();
    tally.equal(
        &(first.len(), second.len(), miniports.len()),
        &wanted,
        "the shape of UpperBindings",
    );
    tally.equal(
        &(first == second),
        &(args.driver.topology == Topology::ManyToOne),
        "the same name under each member",
    );
    let known = |d: &String| miniports.iter().any(|m| device_name(*m) == *d);
    tally.check(
        first.iter().chain(&second).all(known),
        "the names are those of the miniports",
    );
    tally.equal(
        &world.below(FIRST, "Mode"),
        &Some(Value::Number(2)),
        "a value of the binding",
    );
    for miniport in &miniports {
        tally.equal(
            &world.is_enabled(OWN, *miniport),
            &Some(false),
            "ours stays off its own miniports",
        );
        tally.equal(
            &world.is_enabled(TCPIP, *miniport),
            &Some(true),
            "others use the miniports",
        );
    }
    for adapter in [FIRST, SECOND] {
        tally.equal(
            &world.is_enabled(OWN, adapter),
            &Some(true),
            "ours is on the adapter",
        );
        tally.equal(
            &world.is_enabled(TCPIP, adapter),
            &Some(false),
            "others are off it",
        );
        tally.equal(
            &world.is_enabled(PACER, adapter),
            &Some(true),
            "filters stay",
        );
    }
    tally.equal(
        &world.is_enabled(OWN, WIFI),
        &Some(false),
        "ours stays off other adapters",
    );
    tally.equal(
        &world.is_enabled(TCPIP, WIFI),
        &Some(true),
        "others stay there",
    );
}

/// Install, bind, unbind, remove.
pub fn lifecycle(dll: &Dll, args: &Args, tally: &Tally) {
    let ran = (|| -> Result<()> {
        let world = World::new(args);
        let start = world.picture();

        // Without a plan nothing changes.
        let object = Object::new(dll, &world, true)?;
        // SAFETY: methods of an initialised object.
        unsafe {
            object.setup.Install(0)?;
            object
                .setup
                .ReadAnswerFile(windows::core::w!("x"), windows::core::w!("y"))?;
            object.setup.Upgrade(0, 0)?;
            let flags = object.global.GetSupportedNotifications()?;
            tally.check(
                flags & NCN_BINDING_PATH.0 as u32 != 0,
                "wants to hear of binding paths",
            );
        }
        for adapter in [FIRST, SECOND, WIFI] {
            tally.equal(
                &object.query(OWN, adapter),
                &Some(false),
                "without a plan a binding is disabled",
            );
            tally.equal(
                &object.query(TCPIP, adapter),
                &Some(true),
                "without a plan others are left alone",
            );
            // Enabled all the same, it is disabled again.
            world.set_enabled(OWN, adapter, true);
            object.notify(ADD, adapter)?;
            tally.equal(
                &world.is_enabled(OWN, adapter),
                &Some(false),
                "a binding that nobody asked for",
            );
        }
        object.apply()?;
        tally.equal(&world.picture(), &start, "installing changes nothing");
        object.end(tally, "installing");

        // A plan, and a session that is cancelled.
        remember(&world, args);
        let planned = world.picture();
        let object = Object::new(dll, &world, false)?;
        object.bind(FIRST)?;
        object.bind(SECOND)?;
        tally.check(!world.miniports().is_empty(), "binding makes miniports");
        tally.equal(
            &world.below(FIRST, "UpperBindings"),
            &None,
            "keys are written when changes are taken over",
        );
        object.cancel();
        world.set_enabled(OWN, FIRST, false);
        world.set_enabled(OWN, SECOND, false);
        tally.equal(
            &world.picture(),
            &planned,
            "cancelling leaves no difference",
        );

        // For good.
        object.bind(FIRST)?;
        object.bind(SECOND)?;
        object.apply()?;
        shape(&world, args, tally);
        tally.check(
            world.told.borrow().contains(&device_name(FIRST)),
            "the driver is told of its new list",
        );
        for miniport in world.miniports() {
            tally.equal(
                &object.query(OWN, miniport),
                &Some(false),
                "no binding to an own miniport",
            );
            tally.equal(
                &object.query(TCPIP, miniport),
                &Some(true),
                "others bind to the miniport",
            );
        }
        tally.equal(
            &object.query(TCPIP, FIRST),
            &Some(false),
            "others do not come back below",
        );
        tally.equal(&object.query(PACER, FIRST), &Some(true), "filters may");
        tally.equal(&object.query(OWN, FIRST), &Some(true), "ours may");

        // The second adapter goes.
        let before = world.miniports().len();
        object.notify(REMOVE, SECOND)?;
        object.apply()?;
        let gone = if args.driver.topology == Topology::ManyToOne {
            0
        } else {
            1
        };
        tally.equal(
            &world.miniports().len(),
            &(before - gone),
            "miniports of an adapter that goes",
        );
        object.end(tally, "binding");

        // And everything.
        let object = Object::new(dll, &world, false)?;
        object.removing()?;
        object.apply()?;
        // The script leaves the second adapter in place: what was its is not given back.
        world.set_enabled(TCPIP, SECOND, true);
        world.set_enabled(OWN, SECOND, false);
        if let Some(key) = world.key(OWN) {
            let _ = key
                .open(&format!("Adapters\\{SECOND}"))
                .map(|k| k.map(|k| k.unset("UpperBindings")));
            key.tidy(&format!("Adapters\\{SECOND}"));
            key.tidy("Adapters");
        }
        tally.equal(&world.picture(), &start, "removing leaves no difference");
        object.end(tally, "removing");
        Ok(())
    })();
    tally.equal(&ran, &Ok(()), "install, bind, unbind, remove");
    tally.equal(&LIVE.load(Ordering::Acquire), &0, "scripted objects left");
    tally.check(
        dll.is_free(),
        "nothing holds the DLL after its interfaces were driven",
    );
}

/// Each call fails once: the old state stays, or comes back when the network
/// configuration says that changes are cancelled.
pub fn failures(dll: &Dll, args: &Args, tally: &Tally) {
    let mut world = World::new(args);
    remember(&world, args);
    let planned = world.picture();
    let mut n = 0;
    loop {
        n += 1;
        let Ok(object) = Object::new(dll, &world, false) else {
            tally.check(false, "an object for failures");
            break;
        };
        world.set_enabled(OWN, FIRST, true);
        world.set_enabled(OWN, SECOND, true);
        world.fail_at(n);
        let ran = object
            .notify(ADD, FIRST)
            .and_then(|()| object.notify(ADD, SECOND))
            .and_then(|()| object.apply());
        let reached = world.calls.get() >= n;
        world.fail_at(0);
        if !reached {
            tally.equal(&ran, &Ok(()), "a run without a failure");
            break;
        }
        object.cancel();
        world.set_enabled(OWN, FIRST, false);
        world.set_enabled(OWN, SECOND, false);
        if world.picture() != planned {
            let code = ran.err().map(|e| e.code());
            tally.equal(
                &world.picture(),
                &planned,
                &format!("bind with failing call {n} ({code:?}, {ABORTED:?})"),
            );
            break;
        }
    }
    tally.check(n > 100, &format!("{n} calls of binding failed in turn"));

    // The world is bound now. A removal that fails leaves it so.
    let bound = world.picture();
    n = 0;
    loop {
        n += 1;
        let Ok(object) = Object::new(dll, &world, false) else {
            break;
        };
        world.fail_at(n);
        let ran = object.removing().and_then(|()| object.apply());
        let reached = world.calls.get() >= n;
        world.fail_at(0);
        if !reached {
            tally.equal(&ran, &Ok(()), "a removal without a failure");
            break;
        }
        object.cancel();
        if world.picture() != bound {
            tally.equal(
                &world.picture(),
                &bound,
                &format!("removal with failing call {n}"),
            );
            break;
        }
    }
    tally.check(n > 100, &format!("{n} calls of a removal failed in turn"));
    tally.check(
        world.miniports().is_empty() && world.record().is_none(),
        "nothing is left in the end",
    );
    world = World::new(args);
    drop(world);
    tally.equal(
        &LIVE.load(Ordering::Acquire),
        &0,
        "scripted objects left after failures",
    );
    tally.check(dll.is_free(), "nothing holds the DLL after failures");
}
