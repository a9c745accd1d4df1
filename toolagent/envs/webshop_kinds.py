"""The words of our own web shop (envs/webshop_goods.py): kinds of things, what can be said of them, and the options they come in.

Every kind takes two lines:

    category | path | kind of product | name in titles | price from-to | options (names in AXES)
        attributes: "+" before what it comes with, "~" before whom or what it is for
"""

from __future__ import annotations

KINDS = """
beauty | Care › Skin › Face Creams | face creams | Face Cream | 8-48 | volume scent
    oil free, quick drying, vegan formula, +shea butter, +rose water, +aloe extract, ~dry skin, ~sensitive skin, ~night use
beauty | Care › Skin › Body Oils | body oils | Body Oil | 7-40 | volume scent
    cold pressed, non sticky, vegan formula, +almond extract, +vitamin e, ~dry skin, ~massage therapy, ~winter care
beauty | Care › Skin › Hand Creams | hand creams | Hand Cream | 4-22 | volume scent pack
    non greasy, quick drying, travel sized, +bees wax, +oat milk, ~cracked hands, ~sensitive skin, ~garden work
beauty | Care › Lips › Lip Balms | lip balms | Lip Balm | 3-15 | flavor pack
    petroleum free, lightly tinted, sun protecting, +bees wax, +mint oil, ~chapped lips, ~cold weather
beauty | Care › Hair › Shampoo Bars | shampoo bars | Shampoo Bar | 5-19 | scent pack
    soap free, plastic free, slow dissolving, color safe, +nettle extract, +coconut milk, ~oily hair, ~curly hair, ~hard water
beauty | Care › Hair › Brushes | hair brushes | Hair Brush | 6-35 | color shape
    static free, hand made, gentle bristles, +bamboo handle, +rubber cushion, ~thick hair, ~wet hair, ~small children
beauty | Care › Hair › Hair Clips | hair clips | Hair Clip Set | 4-18 | color pack
    snag free, matte finish, strong grip, +gift pouch, +metal spring, ~thick hair, ~dance class, ~thin hair
beauty | Care › Bath › Bath Salts | bath salts | Bath Salt | 6-30 | scent weight
    mineral rich, dye free, quick dissolving, +dried petals, +eucalyptus oil, ~tired muscles, ~foot soak, ~evening rest
beauty | Care › Bath › Sponges | bath sponges | Bath Sponge | 3-16 | color pack
    plant based, quick drying, double sided, +cotton loop, +wooden handle, ~daily scrubbing, ~sensitive skin
beauty | Care › Teeth › Tooth Tablets | tooth tablets | Tooth Tablets | 5-24 | flavor count
    fluoride free, plastic free, enamel safe, +glass jar, +xylitol base, ~travel bags, ~sensitive gums
beauty | Care › Nails › Nail Polish | nail polishes | Nail Polish | 4-17 | color pack
    chip resistant, quick drying, water based, +flat brush, +glitter flakes, ~short nails, ~first timers
electronics | Devices › Audio › Desk Speakers | desk speakers | Desk Speaker | 25-180 | color style
    low distortion, battery powered, splash proof, +bass port, +volume knob, +cloth cover, ~small rooms, ~video calls
electronics | Devices › Audio › Headsets | headsets | Headset | 20-160 | color style
    noise cancelling, foldable design, low latency, +boom microphone, +memory cushions, +mute switch, ~long meetings, ~remote work
electronics | Devices › Audio › Clock Radios | clock radios | Clock Radio | 18-90 | color style
    battery backup, dual alarm, auto dimming, +snooze bar, +usb outlet, ~heavy sleepers, ~bedside tables
electronics | Devices › Power › Power Banks | power banks | Power Bank | 15-85 | color capacity
    fast charging, airline safe, drop resistant, +status display, +built cable, ~camping trips, ~two devices
electronics | Devices › Power › Charging Cables | charging cables | Charging Cable | 5-28 | color length pack
    fast charging, tangle free, braided jacket, +right angle, +strain relief, ~car seats, ~older phones
electronics | Devices › Power › Travel Adapters | travel adapters | Travel Adapter | 9-45 | color style
    surge protected, pocket sized, fuse guarded, +usb outlet, +carry pouch, ~long journeys, ~hair dryers
electronics | Devices › Phones › Phone Stands | phone stands | Phone Stand | 6-38 | color style
    non slip, tilt adjusting, heavy base, +cable slot, +magnet plate, ~video calls, ~kitchen counters
electronics | Devices › Phones › Reader Covers | reader covers | Reader Cover | 9-42 | color style
    auto wake, water repellent, slim profile, +hand strap, +pen loop, ~left handers, ~beach reading
electronics | Devices › Computers › Keyboards | keyboards | Keyboard | 22-150 | color layout
    low profile, quiet keys, spill proof, +number pad, +wrist rest, +key lights, ~small desks, ~shared offices
electronics | Devices › Computers › Webcams | webcams | Webcam | 20-120 | style
    wide angle, auto focus, plug ready, +privacy shutter, +stereo microphone, ~dim rooms, ~online lessons
electronics | Devices › Trackers › Key Finders | key finders | Key Finder | 10-50 | color pack
    long range, loud ring, rain proof, +spare battery, +steel ring, ~pet collars, ~luggage tags
fashion | Wear › Women › Wrap Dresses | wrap dresses | Wrap Dress | 25-120 | color size
    wrinkle free, machine washable, knee length, +side pockets, +tie belt, ~summer weddings, ~office days
fashion | Wear › Women › Leggings | leggings | Leggings | 14-70 | color size length
    squat proof, quick drying, high waisted, +side pockets, +flat seams, ~yoga practice, ~winter runs
fashion | Wear › Women › Cardigans | cardigans | Cardigan | 22-110 | color size
    pill resistant, machine washable, ribbed cuffs, +wooden buttons, +front pockets, ~cool evenings, ~layered outfits
fashion | Wear › Men › Linen Shirts | linen shirts | Linen Shirt | 20-95 | color size
    wrinkle free, regular cut, garment dyed, +chest pocket, +band collar, ~hot weather, ~beach parties
fashion | Wear › Men › Swim Shorts | swim shorts | Swim Shorts | 15-60 | color size
    quick drying, salt proof, mid length, +mesh lining, +zip pocket, ~pool days, ~surf lessons
fashion | Wear › Men › Work Trousers | work trousers | Work Trousers | 28-110 | color size length
    abrasion resistant, stretch waist, triple stitched, +knee pads, +tool pocket, ~workshop days, ~cold sites
fashion | Wear › Unisex › Rain Jackets | rain jackets | Rain Jacket | 35-190 | color size
    fully lined, wind proof, packs small, +storm hood, +taped seams, +two zips, ~bike commutes, ~mountain walks
fashion | Wear › Unisex › Wool Scarves | wool scarves | Wool Scarf | 14-75 | color length
    itch free, hand woven, double sided, +short fringe, +name label, ~cold weather, ~gift giving
fashion | Wear › Unisex › Sun Hats | sun hats | Sun Hat | 11-55 | color size
    packs flat, sweat absorbing, uv blocking, +chin cord, +wide brim, ~garden work, ~boat trips
fashion | Wear › Unisex › Ankle Socks | ankle socks | Ankle Socks | 6-32 | color shoes pack
    odor resistant, seam free, arch hugging, +heel tab, +mesh top, ~long runs, ~narrow shoes
fashion | Shoes › Outdoor › Hiking Boots | hiking boots | Hiking Boots | 55-210 | color shoes
    water repellent, ankle supporting, break in free, +grippy soles, +toe cap, +wide fit, ~muddy trails, ~heavy packs
fashion | Shoes › Casual › Canvas Sneakers | canvas sneakers | Canvas Sneakers | 22-95 | color shoes
    machine washable, slip on, vegan glue, +padded collar, +rubber soles, ~city walks, ~school days
fashion | Bags › Day › Shoulder Bags | shoulder bags | Shoulder Bag | 18-140 | color shape
    water repellent, scratch resistant, fully lined, +long strap, +key hook, +inner sleeve, ~weekend trips, ~day markets
garden | Home › Lighting › Desk Lamps | desk lamps | Desk Lamp | 18-130 | color style
    flicker free, touch controlled, stepless dimming, +swing arm, +clamp base, +usb outlet, ~late study, ~sewing work
garden | Home › Lighting › Night Lights | night lights | Night Light | 7-40 | color shape
    motion sensing, battery powered, auto dimming, +warm glow, +wall hook, ~nursery rooms, ~dark stairs
garden | Home › Bedroom › Bed Pillows | bed pillows | Bed Pillow | 15-95 | bed pack
    machine washable, medium firm, dust proof, +cooling cover, +latex core, ~side sleepers, ~neck pain
garden | Home › Bedroom › Throw Blankets | throw blankets | Throw Blanket | 16-90 | color bed
    lint free, machine washable, open weave, +fringed edges, +storage bag, ~cool evenings, ~sofa naps
garden | Home › Living › Side Tables | side tables | Side Table | 35-240 | finish shape
    tool free, scratch resistant, solid wood, +lower shelf, +metal legs, ~small rooms, ~reading corners
garden | Home › Living › Floor Cushions | floor cushions | Floor Cushion | 16-85 | color shape
    stain resistant, pet friendly, hand made, +carry handle, +zip cover, ~tea corners, ~yoga practice
garden | Home › Living › Area Rugs | area rugs | Area Rug | 30-320 | color rug
    low pile, stain resistant, pet friendly, +jute backing, +bound edges, ~busy hallways, ~heated floors
garden | Home › Storage › Storage Baskets | storage baskets | Storage Basket | 9-60 | color box pack
    hand woven, folds flat, moisture resistant, +cotton lining, +leather handles, ~toy corners, ~laundry rooms
garden | Home › Storage › Wall Shelves | wall shelves | Wall Shelf | 14-110 | finish length
    easy mounting, solid wood, scratch resistant, +hidden brackets, +raised edge, ~spice jars, ~small rooms
garden | Home › Bathroom › Shower Curtains | shower curtains | Shower Curtain | 11-58 | color length
    mildew resistant, machine washable, weighted hem, +metal eyelets, +curved hooks, ~corner baths, ~guest bathrooms
garden | Outdoor › Plants › Plant Pots | plant pots | Plant Pot | 6-75 | color box pack
    frost proof, uv stable, self watering, +drain hole, +cork saucer, ~balcony herbs, ~tall cactus
grocery | Food › Drinks › Herbal Teas | herbal teas | Herbal Tea | 4-26 | flavor count
    caffeine free, loose leaf, hand picked, +lemon peel, +wild mint, ~evening rest, ~iced pitchers
grocery | Food › Drinks › Ground Coffee | ground coffee | Ground Coffee | 7-38 | roast weight
    low acid, single farm, shade grown, +cocoa notes, +zip bag, ~moka pots, ~cold brew
grocery | Food › Snacks › Trail Mixes | trail mixes | Trail Mix | 5-30 | flavor weight
    peanut free, unsalted nuts, no palm oil, +dried cherries, +dark cocoa, ~lunch boxes, ~mountain walks
grocery | Food › Snacks › Seed Crackers | seed crackers | Seed Crackers | 4-22 | flavor pack
    wheat free, oven baked, low salt, +sea kelp, +hemp seeds, ~cheese boards, ~lunch boxes
grocery | Food › Pantry › Fruit Jams | fruit jams | Fruit Jam | 4-20 | flavor weight
    no pectin, less sugar, small batch, +whole berries, +vanilla pods, ~breakfast trays, ~cake filling
grocery | Food › Pantry › Hot Sauces | hot sauces | Hot Sauce | 4-24 | flavor volume
    barrel aged, no vinegar, slow fermented, +smoked chili, +roast garlic, ~grill nights, ~bean dishes
"""

AXES = {  # axis -> name on the page, values, most of them that one product has
    "color": ("color", "black, ivory, slate gray, navy, moss green, rust, sky blue, plum, mustard, blush pink, chestnut brown, teal, sand, wine red, "
                       "charcoal, mint, lilac, copper, white, olive", 5),
    "size": ("size", "x-small, small, medium, large, x-large, xx-large", 6),
    "shoes": ("size", "5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5, 10, 11, 12", 6),
    "bed": ("size", "twin, full, queen, king, travel", 4),
    "rug": ("size", "2 x 3 ft, 3 x 5 ft, 4 x 6 ft, 5 x 8 ft, 6 x 9 ft, 8 x 10 ft", 4),
    "box": ("size", "4 inch, 6 inch, 8 inch, 10 inch, 12 inch, 16 inch", 4),
    "length": ("length", "20 inch, 24 inch, 30 inch, 36 inch, 48 inch, 60 inch, 72 inch", 4),
    "volume": ("size", "30 ml, 50 ml, 75 ml, 100 ml, 150 ml, 250 ml", 3),
    "weight": ("size", "4 ounce, 8 ounce, 12 ounce, 1 pound, 2 pound", 3),
    "count": ("item count", "20 pieces, 40 pieces, 60 pieces, 90 pieces, 120 pieces", 3),
    "pack": ("pack", "pack of 1, pack of 2, pack of 3, pack of 4, pack of 6", 3),
    "capacity": ("capacity", "5000 mah, 10000 mah, 15000 mah, 20000 mah", 3),
    "scent": ("scent", "unscented, cedar, orange blossom, sea breeze, vanilla, green tea, pine needle, fig, jasmine", 4),
    "flavor": ("flavor", "original, ginger, lime, apple cinnamon, red currant, chili, honey, lemon mint, apricot, smoked salt", 4),
    "roast": ("roast", "light roast, medium roast, dark roast, decaf", 3),
    "shape": ("shape", "round, square, oval, half moon, hexagon", 3),
    "finish": ("finish", "natural oak, dark walnut, birch, painted white, black ash, rough pine", 4),
    "style": ("style", "classic, studio, compact, travel edition, home edition", 3),
    "layout": ("layout", "60 percent, 75 percent, tenkeyless, full size", 3),
}  # fmt: skip
